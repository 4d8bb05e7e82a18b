"""A run of three classes, from an npz file to the report."""

import json

import numpy as np
import pandas as pd
import pytest

from evaluation.audit import Audit
from evaluation.predictions import Predictions
from training.cohort import read_cohort
from training.config import RunConfig
from training.run import execute

COHORT = {
    "name": "bands",
    "format": "arrays",
    "source": {"file": "bands.npz", "images": "image", "names": {"style": "style_names"}},
    "sample": "index",
    "patient": "patient",
    "label": {"column": "label", "classes": {"low": ["0"], "middle": ["1"], "high": ["2"]}},
    "attributes": {"style": {"categories": ["dim", "bright"]}},
}


@pytest.fixture(scope="module", params=["erm", "clear_vae"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    n, generator = 240, np.random.default_rng(0)
    label, style = np.arange(n) % 3, generator.integers(0, 2, n)
    image = generator.integers(0, 60, (n, 28, 28)) + 40 * style[:, None, None]
    for row in range(n):
        image[row, 9 * label[row] : 9 * label[row] + 9] += 110
    np.savez(
        folder / "bands.npz",
        image=image.astype(np.uint8),
        label=label,
        style=style,
        style_names=np.array(["dim", "bright"]),
        patient=np.arange(n) // 2,
    )
    epochs = {
        "erm": {"epochs": 4},
        "clear_vae": {"representation_epochs": 4, "classifier_epochs": 8},
    }[request.param]
    values = {
        "cohort": COHORT,
        "method": {"name": request.param, "batch_size": 16, **epochs},
        "size": 28,
        "channels": 1,
        "audit": {"draws": 100, "metrics": ["auroc", "accuracy"]},
    }
    config = RunConfig.parse(values, "test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENSCAN_CACHE", str(folder / "cache"))
        return execute(config, folder / "run", cohort=read_cohort(config.cohort, folder))


def test_predictions_name_every_class(run):
    table = pd.read_parquet(run.directory / "predictions.parquet")
    scores = table[["score_low", "score_middle", "score_high"]]
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-9)
    assert set(table["label"]) == {"low", "middle", "high"}


def test_the_audit_is_of_three_classes(run):
    assert run.audit.task == "multiclass"
    assert run.audit.targets == ("low", "middle", "high")
    assert run.audit.estimate("auroc", "all", target="middle").value > 0.6
    report = (run.directory / "report.html").read_text(encoding="utf-8")
    assert "style: dim" in report


def test_the_audit_is_read_back(run):
    read = Audit.from_json((run.directory / "audit.json").read_text(encoding="utf-8"))
    assert read.targets == run.audit.targets


def test_the_cohort_is_counted_by_class(run):
    counted = json.loads((run.directory / "cohort.json").read_text())["classes"]
    assert sum(sum(splits.values()) for splits in counted.values()) == 240
    assert list(counted) == ["low", "middle", "high"]


def test_the_predictions_file_can_be_audited_again(run):
    read = Predictions.read(run.directory / "predictions.parquet", ["style"])
    assert read.task == "multiclass"
    assert read.targets == ("low", "middle", "high")
