"""The recipe of a run: from its TOML to the loop."""

import json
from errno import ENOSPC

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from training.cache import cached_pixels
from training.cohort import CohortSchema, read_cohort
from training.config import RunConfig
from training.making import Making
from training.run import execute, split_of

COHORT = {
    "name": "small",
    "format": "phantom",
    "sample": "image_id",
    "patient": "patient",
    "source": {"patients": 60, "size": 32},
    "label": {
        "column": "lesion",
        "classes": {"absent": ["absent"], "present": ["present"]},
    },
    "attributes": {"sex": {"categories": ["female", "male"]}, "skin_tone": {}},
}
RECIPE = {
    "augmentation": {"flip": {}},
    "sampling": {"name": "reweighted", "attributes": ["sex"]},
    "selection": {"metric": "brier_score", "of": "worst", "attribute": "skin_tone"},
    "schedule": {"name": "cosine"},
    "patience": 2,
}


def config_of(**recipe):
    values = {
        "cohort": COHORT,
        "method": {"name": "erm", "epochs": 2, "batch_size": 16},
        "size": 28,
        "channels": 1,
        "recipe": recipe,
    }
    return RunConfig.parse(values, "test")


def test_it_survives_being_stored():
    config = config_of(**RECIPE).resolved()
    assert config.recipe.reads == ("sex", "skin_tone")
    assert RunConfig.parse(json.loads(config.model_dump_json()), "stored") == config


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"sampling": {"name": "balanced", "attributes": ["sax"]}}, "Did you mean 'sex'"),
        ({"selection": {"of": "gap", "attribute": "tone"}}, "'tone'"),
        ({"augmentation": {"flip": {"axes": ["depth"]}}}, "images have no depth"),
        ({"selection": {"metric": "aurocs"}}, "Did you mean 'auroc'"),
        ({"patience": 0}, "patience"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_read(recipe, message):
    with pytest.raises(InputError, match=message):
        config_of(**recipe)


@pytest.mark.parametrize("named", [3, "sex", {"sex": 1}])
def test_style_attributes_that_are_no_list_are_refused(named):
    method = {"name": "clear_vae", "style_attributes": named}
    with pytest.raises(InputError, match="method clear_vae: 'style_attributes'"):
        RunConfig.parse({"cohort": COHORT, "method": method, "size": 28}, "test").resolved()


def test_a_full_disk_before_the_first_epoch_leaves_nothing(tmp_path, monkeypatch):
    def full(making):
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setenv("EVENSCAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Making, "describe", full)
    with pytest.raises(OSError, match="No space left"):
        execute(config_of(), tmp_path / "runs" / "one")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_run_is_trained_by_it(tmp_path, monkeypatch):
    config = config_of(**RECIPE).resolved()
    cohort = read_cohort(CohortSchema.parse(COHORT, "test"))
    pixels = cached_pixels(cohort, config.contract, tmp_path / "cache")
    work = tmp_path / "run"
    work.mkdir()
    making = Making(work, config, cohort, split_of(config, cohort), lambda step: None)
    making.train(pixels)
    history = pd.read_csv(work / "history.csv")
    assert np.isfinite(history["validation_score"]).all()
    assert (history["validation_score"] >= 0).all()
    assert not history["stopped_early"].any()
