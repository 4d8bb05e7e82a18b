"""Learning-rate schedules: known values, and torch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR

from evaluation.errors import InputError
from training.optimizers import prepare, set_share
from training.recipe import Recipe
from training.schedule import Schedule

STEPS, EPOCHS = 5, 6


def shares(**settings):
    schedule = Schedule(**settings)
    return [schedule.share(k, steps=STEPS, epochs=EPOCHS) for k in range(STEPS * EPOCHS)]


def of_torch(make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = make(optimizer), []
    for _ in range(STEPS * EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant_is_one():
    assert shares() == [1.0] * (STEPS * EPOCHS)


def test_cosine_is_that_of_torch():
    expected = of_torch(lambda one: CosineAnnealingLR(one, STEPS * EPOCHS, eta_min=0.1))
    assert shares(name="cosine", floor=0.1) == pytest.approx(expected)


def test_step_is_that_of_torch():
    expected = of_torch(lambda one: StepLR(one, 2 * STEPS, gamma=0.5))
    assert shares(name="step", every=2, factor=0.5) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["constant", "cosine", "step"])
def test_warmup_rises_linearly_and_then_leaves_the_rest_alone(name):
    plain, warm = shares(name=name), shares(name=name, warmup=4)
    risen = [one / other for one, other in zip(warm, plain, strict=True)]
    assert risen == pytest.approx([0.2, 0.4, 0.6, 0.8] + [1.0] * (STEPS * EPOCHS - 4))


@given(
    name=st.sampled_from(["constant", "cosine", "step"]),
    warmup=st.integers(0, 50),
    step=st.integers(0, 1000),
)
def test_it_is_a_share(name, warmup, step):
    share = Schedule(name=name, warmup=warmup).share(step, steps=7, epochs=11)
    assert 0 <= share <= 1


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="schedule"):
        Recipe.parse({"schedule": {"name": "linear"}}, "recipe")


def adam_of(weight, **recipe):
    optimizer = torch.optim.Adam([weight], lr=0.5)
    prepare({"a": optimizer}, Recipe(**recipe))
    return optimizer


def test_shares_are_of_the_first_learning_rate():
    optimizer = adam_of(torch.nn.Parameter(torch.ones(1)))
    for share in (0.5, 0.1, 1.0):
        set_share({"a": optimizer}, share)
        assert optimizer.param_groups[0]["lr"] == 0.5 * share


def test_weight_decay_is_that_of_adamw():
    weights = [torch.nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2)]
    optimizers = [
        adam_of(weights[0], weight_decay=0.1),
        torch.optim.AdamW([weights[1]], lr=0.5, weight_decay=0.1),
    ]
    for weight, optimizer in zip(weights, optimizers, strict=True):
        for _ in range(3):
            optimizer.zero_grad()
            weight.pow(4).sum().backward()
            optimizer.step()
    assert weights[0].equal(weights[1])


def test_a_long_gradient_is_cut_and_a_short_one_is_not():
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    prepare({"a": optimizer}, Recipe(gradient_norm=1.0))
    for gradient, expected in (([30.0, 40.0], [0.6, 0.8]), ([0.3, 0.4], [0.3, 0.4])):
        weight.data.zero_()
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        torch.testing.assert_close(-weight.data, torch.tensor(expected))
