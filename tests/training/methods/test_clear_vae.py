"""CLEAR-VAE: penalties beyond pair switching, and attributes as style."""

import numpy as np
import pytest
import torch

from evaluation.errors import InputError
from tests.training.synthetic import images, small
from training.fit import fit
from training.method import Batch
from training.pairs import UNKNOWN
from training.recipe import Recipe

N = 60
#: The group of the label, but in every fourth image: so it seems to tell the label.
GROUP = np.where(np.arange(N) // 2 % 4 == 3, 1 - np.arange(N) % 2, np.arange(N) % 2)


def styled():
    """Pixels ``[60, 1, 28, 28]`` whose left half is brighter in one group; labels; groups."""
    pixels, label = images(N)
    pixels[GROUP == 1, :, :, :14] //= 3
    return pixels, label, GROUP[None]


def batch():
    pixels, label, groups = styled()
    image = torch.from_numpy(pixels).float() / 255
    return Batch(image, torch.from_numpy(label), torch.from_numpy(groups))


@pytest.mark.parametrize(
    ("penalty", "weight", "rate", "steps"),
    [("club", 3, 2e-3, 5), ("l1out", 3, 2e-3, 5), ("tc", 1, 1e-4, 1)],
)
def test_estimators_are_used_as_in_the_paper(penalty, weight, rate, steps):
    settings = small("clear_vae", style_penalty=penalty).settings
    assert settings.style_weight == weight
    assert settings.estimator_learning_rate == rate
    assert settings.estimator_steps == steps


@pytest.mark.parametrize("penalty", ["pair_switching", "negated", "none"])
def test_contrasts_weigh_alpha_and_have_no_estimator(penalty):
    method = small("clear_vae", style_penalty=penalty, alpha=7.0)
    assert method.settings.style_weight == 7
    assert method.estimator is None


@pytest.mark.parametrize(
    "setting", [{"estimator_steps": 2}, {"estimator_learning_rate": 1e-3}], ids=str
)
def test_settings_of_an_estimator_that_there_is_not_are_refused(setting):
    with pytest.raises(InputError, match="has no estimator"):
        small("clear_vae", **setting)


def test_a_given_weight_wins():
    settings = small("clear_vae", style_penalty="tc", style_weight=0.5).settings
    assert settings.style_weight == 0.5


def test_groups_of_style_add_a_contrast_with_the_weight_of_alpha():
    method, given = small("clear_vae", style_attributes=["scanner"]), batch()
    losses = method.losses(given)
    divergence = losses["kl_content"] + losses["kl_style"]
    expected = losses["reconstruction"] + method.beta() * divergence
    expected += 100 * (losses["content_contrast"] + losses["style_penalty"])
    expected += 100 * losses["attribute_contrast"]
    torch.testing.assert_close(losses["total"], expected)


def test_unknown_groups_teach_as_plain_clear_does():
    named, plain = small("clear_vae", style_attributes=["scanner"]), small("clear_vae")
    given = batch()
    unknown = Batch(given.image, given.label, torch.full_like(given.groups, UNKNOWN))
    losses = []
    for method, each in ((named, unknown), (plain, given)):
        torch.manual_seed(0)
        losses.append(method.losses(each))
    assert losses[0]["attribute_contrast"] == 0
    for name in losses[1]:
        assert losses[0][name].equal(losses[1][name])


def test_several_attributes_are_averaged():
    one, two = (small("clear_vae", style_attributes=names) for names in (["a"], ["a", "b"]))
    given = batch()
    twice = Batch(given.image, given.label, given.groups.repeat(2, 1))
    losses = []
    for method, each in ((one, given), (two, twice)):
        torch.manual_seed(0)
        losses.append(method.losses(each))
    for name in losses[0]:
        torch.testing.assert_close(losses[0][name], losses[1][name])


def separation(code, label):
    """Squared distance of the means of two groups, in units of the variance within them."""
    first, second = code[label == 0], code[label == 1]
    spread = torch.cat([first - first.mean(0), second - second.mean(0)]).square().sum(1).mean()
    return float((first.mean(0) - second.mean(0)).square().sum() / spread)


def test_named_style_moves_the_group_from_content_to_style():
    pixels, label, groups = styled()
    rows, found = np.arange(N), {}
    for name, attributes in (("plain", []), ("named", ["scanner"])):
        method = small(
            "clear_vae", style_attributes=attributes, representation_epochs=25, batch_size=20
        )
        fit(
            method,
            pixels,
            label,
            train=rows,
            validation=rows,
            seed=0,
            groups=groups[: len(attributes)],
            recipe=Recipe(precision="float32"),
        )
        with torch.no_grad():
            content, style = method.embed(torch.from_numpy(pixels).float() / 255)
        found[name] = [separation(code, groups[0]) for code in (content, style)]
        assert separation(content, label) > 1
    assert found["named"][0] < found["plain"][0]
    assert found["named"][1] > found["plain"][1]


@pytest.mark.parametrize("groups", [None, np.zeros((2, N), np.int64), np.zeros((1, 3), int)])
def test_groups_that_do_not_fit_are_refused(groups):
    pixels, label, _ = styled()
    method = small("clear_vae", style_attributes=["scanner"])
    with pytest.raises(InputError, match="reads scanner"):
        fit(
            method,
            pixels,
            label,
            train=np.arange(20),
            validation=np.arange(20),
            seed=0,
            groups=groups,
        )
