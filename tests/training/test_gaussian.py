"""Gaussians against the released code, torch's own and slow loops."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tests.training import golden_values
from training.gaussian import (
    Gaussian,
    kl_to_standard_normal,
    mean_posterior,
    product_posterior,
    sample,
)
from training.vae import reconstruction_error


def gaussian(n=7, dimension=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(2, n, dimension, generator=generator, dtype=torch.float64)
    return Gaussian(values[0], values[1])


LABEL = torch.tensor([4, 0, 4, 2, 0, 4, 9])


@pytest.mark.parametrize("case", golden_values.CASES)
def test_golden_divergence_and_reconstruction(case):
    given = golden_values.inputs(case)
    content = Gaussian(given["mu"], given["logvar"])
    style = Gaussian(given["mu_s"], given["logvar_s"])
    actual = {
        "kl_content": kl_to_standard_normal(content).mean(),
        "kl_style": kl_to_standard_normal(style).mean(),
        "reconstruction": reconstruction_error(given["xhat"], given["x"]).mean(),
    }
    for name, loss in actual.items():
        assert loss.item() == pytest.approx(golden_values.value(case, name), rel=1e-5)


@pytest.mark.parametrize("case", golden_values.CASES)
@pytest.mark.parametrize(
    ("posterior", "name"), [(product_posterior, "mlvae"), (mean_posterior, "gvae")]
)
def test_golden_group_posteriors(case, posterior, name):
    given = golden_values.inputs(case)
    group, index = posterior(Gaussian(given["mu"], given["logvar"]), given["label"])
    torch.testing.assert_close(group.mu, given[f"{name}_mu"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(group.logvar, given[f"{name}_logvar"], rtol=1e-5, atol=1e-6)
    assert index.equal(torch.unique(given["label"], return_inverse=True)[1])


def test_divergence_is_that_of_torch():
    mu, logvar = gaussian()
    normal = Normal(mu, (logvar / 2).exp())
    expected = kl_divergence(normal, Normal(torch.zeros_like(mu), torch.ones_like(mu)))
    actual = kl_to_standard_normal(Gaussian(mu, logvar))
    torch.testing.assert_close(actual, expected.sum(dim=1))


def test_samples_have_the_moments_and_pass_gradients():
    mu = torch.full((20_000, 1), 3.0, requires_grad=True)
    logvar = torch.full((20_000, 1), 2 * math.log(2.0), requires_grad=True)
    drawn = sample(Gaussian(mu, logvar), torch.Generator().manual_seed(0))
    assert drawn.mean().item() == pytest.approx(3, abs=0.05)
    assert drawn.std().item() == pytest.approx(2, abs=0.05)
    drawn.sum().backward()
    assert mu.grad is not None
    assert logvar.grad is not None


def test_the_generator_decides_the_sample():
    first, second = (sample(gaussian(), torch.Generator().manual_seed(5)) for _ in range(2))
    assert first.equal(second)


def test_product_by_the_definition():
    mu, logvar = gaussian()
    group, index = product_posterior(Gaussian(mu, logvar), LABEL)
    for position, label in enumerate([0, 2, 4, 9]):
        members = [i for i in range(len(LABEL)) if LABEL[i] == label]
        precision = sum(1 / logvar[i].exp() for i in members)
        mean = sum(mu[i] / logvar[i].exp() for i in members) / precision
        torch.testing.assert_close(group.mu[position], mean)
        torch.testing.assert_close(group.logvar[position], (1 / precision).log())
        assert all(index[i] == position for i in members)


def test_mean_by_the_definition():
    mu, logvar = gaussian()
    group, _ = mean_posterior(Gaussian(mu, logvar), LABEL)
    for position, label in enumerate([0, 2, 4, 9]):
        members = [i for i in range(len(LABEL)) if LABEL[i] == label]
        variance = sum(logvar[i].exp() for i in members) / len(members)
        torch.testing.assert_close(
            group.mu[position], sum(mu[i] for i in members) / len(members)
        )
        torch.testing.assert_close(group.logvar[position], variance.log())


@pytest.mark.parametrize("posterior", [product_posterior, mean_posterior])
def test_a_group_of_one_is_its_member(posterior):
    member = gaussian(3)
    group, index = posterior(member, torch.tensor([2, 0, 1]))
    torch.testing.assert_close(group.mu[index], member.mu)
    torch.testing.assert_close(group.logvar[index], member.logvar)


@pytest.mark.parametrize("posterior", [product_posterior, mean_posterior])
def test_gradients_are_finite_at_extreme_variances(posterior):
    mu = torch.randn(4, 2, requires_grad=True)
    logvar = torch.tensor([[-80.0, 80.0]] * 4, requires_grad=True)
    group, _ = posterior(Gaussian(mu, logvar), torch.tensor([0, 0, 1, 1]))
    (group.mu.sum() + group.logvar.sum()).backward()
    assert torch.isfinite(mu.grad).all()
    assert torch.isfinite(logvar.grad).all()
