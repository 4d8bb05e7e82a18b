"""Similarities and contrastive losses against the released code and slow loops."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tests.training import golden_values
from training.contrast import (
    CONTRASTS,
    SIMILARITIES,
    different_label,
    mean_over_anchors,
    same_label,
    soft_nearest_neighbour,
    supcon_in,
    supcon_out,
)

LABEL = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])


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


def loop(contrast, similarity, positive, temperature):
    losses = []
    for i in range(len(similarity)):
        others = [j for j in range(len(similarity)) if j != i]
        near = [j for j in others if positive[i, j]]
        if near:
            losses.append(LOOPS[contrast](similarity[i].tolist(), near, others, temperature))
    return torch.tensor(losses, dtype=similarity.dtype)


def symmetrised_divergence(mu, deviation, i, j):
    first, second = Normal(mu[i], deviation[i]), Normal(mu[j], deviation[j])
    return (kl_divergence(first, second) + kl_divergence(second, first)).sum()


def similarity_loop(name, mu, logvar, i, j):
    difference, variance = (mu[i] - mu[j]) ** 2, logvar.exp()
    if name == "cosine":
        return mu[i] @ mu[j] / (mu[i].norm() * mu[j].norm())
    if name == "l2":
        return -difference.sum()
    if name == "mahalanobis":
        return -(difference / ((variance[i] + variance[j]) / 2)).sum()
    if name == "modified_l2":
        return -(difference / (variance[i] * variance[j]).sqrt()).sum()
    return -symmetrised_divergence(mu, variance.sqrt(), i, j)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_similarity_matches_the_definition(name):
    generator = torch.Generator().manual_seed(1)
    mu, logvar = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    expected = [[similarity_loop(name, mu, logvar, i, j) for j in range(6)] for i in range(6)]
    actual = SIMILARITIES[name](mu, logvar)
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(actual, actual.T)


@pytest.mark.parametrize("contrast", LOOPS)
@pytest.mark.parametrize("pairs", [same_label, different_label])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_contrast_matches_the_definition(contrast, pairs, temperature):
    similarity, positive = random_similarity(), pairs(LABEL)
    actual = contrast(similarity, positive, temperature)
    torch.testing.assert_close(actual, loop(contrast, similarity, positive, temperature))


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
    pairs = different_label if str(row.pair_switching) == "True" else same_label
    contrast = {"snn_loss": "snn", "supcon_in_loss": "supcon_in"}[row.loss]
    losses = CONTRASTS[contrast](similarity, pairs(given["label"]), row.temperature)
    assert mean_over_anchors(losses).item() == pytest.approx(row.value, rel=1e-5)


def test_there_are_golden_rows():
    # 2 cases, 4 similarities, 3 temperatures; snn with and without switching, supcon_in not.
    assert len(golden_rows()) == 2 * 4 * 3 * 3


@pytest.mark.parametrize("contrast", LOOPS)
def test_uniform_similarity_scores_chance(contrast):
    positive = same_label(torch.tensor([0, 0, 1, 1]))  # one positive among three others
    actual = contrast(torch.zeros(4, 4), positive, temperature=0.1)
    torch.testing.assert_close(actual, torch.full((4,), math.log(3)))


@pytest.mark.parametrize("contrast", LOOPS)
def test_anchors_without_a_positive_are_left_out(contrast):
    assert len(contrast(random_similarity(), same_label(LABEL), 1.0)) == 7  # class 3 is alone


@pytest.mark.parametrize("contrast", LOOPS)
def test_a_batch_without_pairs_costs_0_and_keeps_the_graph(contrast):
    similarity = torch.randn(3, 3, requires_grad=True)
    loss = mean_over_anchors(contrast(similarity, different_label(torch.zeros(3)), 0.1))
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


@pytest.mark.parametrize("name", SIMILARITIES)
def test_gradient_is_finite_for_equal_and_for_zero_codes(name):
    mu = torch.zeros(4, 3, requires_grad=True)
    logvar = torch.zeros(4, 3, requires_grad=True)
    SIMILARITIES[name](mu, logvar).sum().backward()
    assert torch.isfinite(mu.grad).all()


@pytest.mark.parametrize("contrast", LOOPS)
def test_a_temperature_that_is_not_positive_is_refused(contrast):
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        contrast(torch.zeros(2, 2), torch.ones(2, 2, dtype=torch.bool), 0)


@pytest.mark.parametrize("contrast", LOOPS)
def test_other_shapes_are_refused(contrast):
    with pytest.raises(ValueError, match=r"\(2, 2\) and \(3, 3\)"):
        contrast(torch.zeros(2, 2), torch.ones(3, 3, dtype=torch.bool), 1.0)
