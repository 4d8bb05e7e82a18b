"""Whatever the recipe: exact resuming, early stopping, the chosen epoch."""

import contextlib
import logging
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from evaluation.errors import InputError
from tests.training.runs import (
    INTERRUPTIONS,
    RECIPES,
    TRAIN,
    VALIDATION,
    Interrupted,
    interrupt_at,
    run,
    run_with,
    same_state,
    without_seconds,
)
from tests.training.synthetic import small
from training import history as reports
from training.fit import fit
from training.method import METHODS
from training.recipe import Recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
@pytest.mark.parametrize("interruption", INTERRUPTIONS, ids=str)
def test_a_recipe_resumes_exactly(tmp_path, monkeypatch, recipe, interruption):
    monkeypatch.setattr(reports, "REPORT_INTERVAL", 0)
    path, whole = tmp_path / "c.safetensors", small("clear_vae", classifier_learning_rate=0.03)
    history = run_with(recipe, whole)
    stops = interrupt_at(*interruption)
    with contextlib.suppress(Interrupted):  # it may stop before
        run_with(
            recipe,
            small("clear_vae", classifier_learning_rate=0.03),
            checkpoint=path,
            on_progress=stops,
        )
    resumed = small("clear_vae", seed=99, classifier_learning_rate=0.03)
    resumed_history = run_with(recipe, resumed, checkpoint=path)
    assert same_state(whole, resumed)
    assert without_seconds(history).equals(without_seconds(resumed_history))


@pytest.mark.parametrize("name", METHODS.names())
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_method_trains_with_every_recipe(name, recipe):
    method = small(name)
    table = run_with(recipe, method).table
    assert table["total"].notna().all()
    assert table["validation_score"].notna().any()
    assert table.groupby("stage")["selected"].sum().eq(1).all()
    assert all(parameter.isfinite().all() for parameter in method.parameters())


def descending_auroc(method):
    """The stage with scores that are right in its first epoch and random in all others."""
    (stage,) = method.stages()
    seen = []

    def losses(batch):
        seen.append(method.training)
        return stage.losses(batch)

    def logits(image):
        # A validation batch: the epochs before it ended with another one.
        epoch = sum(was and not now for was, now in pairwise([*seen, False]))
        mean = image.mean(dim=(1, 2, 3))[:, None]
        return mean * torch.tensor([0.0, 1.0]) * (1 if epoch <= 1 else -1)

    return replace(stage, losses=losses, logits=logits)


def bright(label):
    pixels = (
        np.random.default_rng(1).integers(0, 50, (50, 1, 28, 28))
        + 100 * label[:, None, None, None]
    )
    return pixels.astype(np.uint8)


@pytest.mark.parametrize("patience", [1, 3])
def test_a_stage_stops_after_patience_epochs_without_a_better_one(patience):
    method, seen = small("erm", epochs=9), []
    stage = descending_auroc(method)
    method.stages = lambda: [stage]
    label = np.arange(50) % 2
    table = fit(
        method,
        bright(label),
        label,
        train=TRAIN,
        validation=VALIDATION,
        seed=0,
        recipe=Recipe(patience=patience),
        on_progress=seen.append,
    ).table
    assert table["epoch"].max() == 1 + patience
    assert table["stopped_early"].all()
    assert table.loc[table["selected"], "epoch"].tolist() == [1]
    last = seen[-1]
    assert (last.epoch, last.step) == (last.epochs, last.steps)


def test_a_stage_that_has_stopped_stays_so_when_the_training_goes_on(tmp_path):
    path, label, tables = tmp_path / "c.safetensors", np.arange(50) % 2, []
    options = {"train": TRAIN, "validation": VALIDATION, "seed": 0, "checkpoint": path}
    for seed in (0, 9):
        method = small("erm", epochs=9, seed=seed)
        stage = descending_auroc(method)
        method.stages = lambda stage=stage: [stage]
        history = fit(method, bright(label), label, recipe=Recipe(patience=2), **options)
        tables.append(history.table)
    assert len(tables[0]) == 3
    assert tables[0].equals(tables[1])


def test_patience_leaves_a_stage_alone_that_keeps_its_last_epoch():
    method = small("clear_vae", representation_epochs=5)
    table = run(method, recipe=Recipe(patience=1)).table
    assert (table["stage"] == "representation").sum() == 5


def test_without_patience_the_history_has_no_such_column():
    assert not {"stopped_early", "validation_score"} & set(run(small("erm")).table.columns)


def test_the_epoch_is_chosen_by_what_the_recipe_asks_for():
    table = run_with({"selection": {"metric": "log_loss"}}, small("erm", epochs=4)).table
    assert table["selected"].idxmax() == table["validation_score"].idxmin()


def test_a_metric_that_no_group_has_falls_back_to_the_loss(caplog):
    groups = np.arange(50)[np.newaxis]  # everybody is a group
    recipe = Recipe.parse({"selection": {"of": "worst", "attribute": "sex"}}, "recipe")
    with caplog.at_level(logging.WARNING):
        table = run(small("erm"), recipe=recipe, recipe_groups=groups).table
    assert "worst auroc was undefined in every epoch" in caplog.text
    assert table["selected"].idxmax() == table["validation_loss"].idxmin()


def test_recipe_groups_that_are_missing_are_asked_for():
    recipe = Recipe(sampling={"name": "balanced", "attributes": ("sex",)})
    with pytest.raises(InputError, match=r"the recipe reads sex. Give .* \[1, 50\]"):
        run(small("erm"), recipe=recipe)
