"""Contrastive losses against the released code and slow loops."""

import math

import pytest
import torch

from tests.training import golden_values
from training.contrast import (
    CONTRASTS,
    mean_over_anchors,
    soft_nearest_neighbour,
    supcon_in,
    supcon_out,
)
from training.pairs import across_groups, different_label, same_attribute, same_label
from training.similarity import SIMILARITIES

LABEL = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
GROUP = torch.tensor([0, 1, 1, 0, -1, 0, 0, 1])
PAIRS = {
    "same label": same_label(LABEL),
    "different label": different_label(LABEL),
    "same attribute": same_attribute(GROUP),
    "across groups": across_groups(LABEL, GROUP),
}


def random_similarity():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 8, generator=generator, dtype=torch.float64)


# The definitions, one anchor or one pair at a time.


def snn_loop(similarity, near, others, temperature):
    attracted = sum(math.exp(similarity[j] / temperature) for j in near)
    every = sum(math.exp(similarity[j] / temperature) for j in others)
    return -math.log(attracted / every)


def supcon_in_loop(similarity, near, others, temperature):
    every = sum(math.exp(similarity[j] / temperature) for j in others)
    mean = sum(math.exp(similarity[j] / temperature) / every for j in near) / len(near)
    return -math.log(mean)


def supcon_out_loop(similarity, near, others, temperature):
    every = sum(math.exp(similarity[j] / temperature) for j in others)
    logs = [math.log(math.exp(similarity[j] / temperature) / every) for j in near]
    return -sum(logs) / len(near)


LOOPS = {
    soft_nearest_neighbour: snn_loop,
    supcon_in: supcon_in_loop,
    supcon_out: supcon_out_loop,
}


def loop(contrast, similarity, pairs, temperature):
    losses = []
    for i in range(len(similarity)):
        others = [j for j in range(len(similarity)) if j != i and pairs.candidate[i, j]]
        near = [j for j in others if pairs.positive[i, j]]
        row = similarity[i].tolist()
        losses.append(LOOPS[contrast](row, near, others, temperature) if near else 0.0)
    return torch.tensor(losses, dtype=similarity.dtype)


@pytest.mark.parametrize("contrast", LOOPS)
@pytest.mark.parametrize("pairs", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_contrast_matches_the_definition(contrast, pairs, temperature):
    similarity = random_similarity()
    actual = contrast(similarity, pairs, temperature)
    expected = loop(contrast, similarity, pairs, temperature)
    torch.testing.assert_close(actual, expected)
    anchors = sum(bool(pairs.positive[i][torch.arange(8) != i].any()) for i in range(8))
    torch.testing.assert_close(mean_over_anchors(actual, pairs), expected.sum() / anchors)


def golden_rows():
    """The rows to match.

    Not matched, because the released code departs there from the published definition: every
    ``supcon_out_loss`` (temperature missing in the numerator), ``supcon_in_loss`` with pair
    switching (one positive too few) and every ``jeffrey`` (a broadcast slip).
    """
    rows = golden_values.table()
    rows = rows[rows["loss"].isin(["snn_loss", "supcon_in_loss"])]
    rows = rows[rows["similarity"] != "jeffrey"]
    switched = rows["pair_switching"].astype(str) == "True"
    rows = rows[~((rows["loss"] == "supcon_in_loss") & switched)]
    return [
        pytest.param(row, id=f"{row.case}-{row.loss}-{row.similarity}-{row.temperature}")
        for row in rows.itertuples()
    ]


@pytest.mark.parametrize("row", golden_rows())
def test_golden_contrast(row):
    given = golden_values.inputs(row.case)
    similarity = SIMILARITIES[row.similarity](given["mu"], given["logvar"])
    switched = str(row.pair_switching) == "True"
    pairs = (different_label if switched else same_label)(given["label"])
    contrast = {"snn_loss": "snn", "supcon_in_loss": "supcon_in"}[row.loss]
    losses = CONTRASTS[contrast](similarity, pairs, row.temperature)
    assert mean_over_anchors(losses, pairs).item() == pytest.approx(row.value, rel=1e-5)


def test_there_are_golden_rows():
    # 2 cases, 4 similarities, 3 temperatures; snn with and without switching, supcon_in not.
    assert len(golden_rows()) == 2 * 4 * 3 * 3


@pytest.mark.parametrize("contrast", LOOPS)
def test_uniform_similarity_scores_chance(contrast):
    pairs = same_label(torch.tensor([0, 0, 1, 1]))  # one positive among three others
    actual = contrast(torch.zeros(4, 4), pairs, temperature=0.1)
    torch.testing.assert_close(actual, torch.full((4,), math.log(3)))


@pytest.mark.parametrize("contrast", LOOPS)
def test_anchors_without_a_positive_are_left_out(contrast):
    pairs = same_label(LABEL)  # class 3 is alone
    loss = contrast(random_similarity(), pairs, 1.0)
    assert loss[-1] == 0
    torch.testing.assert_close(mean_over_anchors(loss, pairs), loss[:-1].mean())


@pytest.mark.parametrize("contrast", LOOPS)
def test_a_batch_without_pairs_costs_0_and_keeps_the_graph(contrast):
    similarity = torch.randn(3, 3, requires_grad=True)
    pairs = different_label(torch.zeros(3))
    loss = mean_over_anchors(contrast(similarity, pairs, 0.1), pairs)
    assert loss.item() == 0
    loss.backward()
    assert similarity.grad.equal(torch.zeros(3, 3))


@pytest.mark.parametrize("contrast", LOOPS)
def test_similarity_is_left_unchanged_and_its_diagonal_is_not_read(contrast):
    similarity = random_similarity()
    before = similarity.clone()
    first = contrast(similarity, same_label(LABEL), 0.5)
    assert similarity.equal(before)
    similarity.fill_diagonal_(1e9)
    assert contrast(similarity, same_label(LABEL), 0.5).equal(first)


@pytest.mark.parametrize("contrast", LOOPS)
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_gradient_is_finite_at_extreme_similarity(contrast, scale):
    similarity = (random_similarity().float() * scale).requires_grad_()
    contrast(similarity, same_label(LABEL), 0.1).sum().backward()
    assert torch.isfinite(similarity.grad).all()


@pytest.mark.parametrize("contrast", LOOPS)
def test_a_temperature_that_is_not_positive_is_refused(contrast):
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        contrast(torch.zeros(2, 2), same_label(torch.zeros(2)), 0)


@pytest.mark.parametrize("contrast", LOOPS)
def test_other_shapes_are_refused(contrast):
    with pytest.raises(ValueError, match=r"\(2, 2\) and \(3, 3\)"):
        contrast(torch.zeros(2, 2), same_label(torch.zeros(3)), 1.0)
