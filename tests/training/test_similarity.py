"""Similarities against their definitions, one pair at a time."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from training.similarity import SIMILARITIES


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


@pytest.mark.parametrize("name", SIMILARITIES)
def test_gradient_is_finite_for_equal_and_for_zero_codes(name):
    mu = torch.zeros(4, 3, requires_grad=True)
    logvar = torch.zeros(4, 3, requires_grad=True)
    SIMILARITIES[name](mu, logvar).sum().backward()
    assert torch.isfinite(mu.grad).all()
