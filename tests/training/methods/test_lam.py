"""LAM by its definition, one image at a time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.synthetic import small
from training.method import Batch
from training.methods.lam import shuffled_within_class


def test_disagreement_by_the_definition(monkeypatch):
    method = small("lam", agreement_weight=0.5).eval()
    batch = Batch(torch.rand(6, 1, 28, 28), torch.tensor([0, 1, 1, 0, 1, 0]))
    mate = torch.tensor([3, 4, 1, 5, 2, 0])
    monkeypatch.setattr("training.methods.lam.shuffled_within_class", lambda label: mate)
    losses = method.losses(batch)
    code, weight = method.trunk(batch.image), method.head.weight
    expected = 0.0
    for i, y in enumerate(batch.label):
        evidence = code[i] * weight[y] - code[mate[i]] * weight[y]
        expected += (evidence**2).sum().item() / 6
    assert losses["disagreement"].item() == pytest.approx(expected, rel=1e-5)
    total = losses["cross_entropy"] + 0.5 * losses["disagreement"]
    torch.testing.assert_close(losses["total"], total)


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(0, 99))
def test_mates_are_a_permutation_within_each_label(label, seed):
    torch.manual_seed(seed)
    label = torch.tensor(label, dtype=torch.int64)
    mate = shuffled_within_class(label)
    assert label[mate].equal(label)
    assert mate.sort().values.equal(torch.arange(len(label)))


def test_every_mate_is_equally_likely():
    torch.manual_seed(0)
    label = torch.tensor([0, 1, 0, 1, 0])
    met = torch.zeros(5, 5)
    for _ in range(3000):
        met[torch.arange(5), shuffled_within_class(label)] += 1 / 3000
    expected = (label[:, None] == label[None]) / torch.tensor([3.0, 2, 3, 2, 3])
    torch.testing.assert_close(met, expected, atol=0.04, rtol=0)


def test_without_weight_it_learns_as_a_linear_erm_does():
    method = small("lam", agreement_weight=0.0)
    batch = Batch(torch.rand(8, 1, 28, 28), torch.arange(8) % 2)
    losses = method.losses(batch)
    assert losses["total"].equal(losses["cross_entropy"])
