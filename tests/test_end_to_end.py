"""The whole road on real images: cohort, training, audit, run directory, prediction."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from evaluation.audit import Audit
from evaluation.errors import InputError
from tests.conftest import ROOT
from training.cohort import CohortSchema, read_cohort
from training.config import RunConfig
from training.predictor import Predictor
from training.run import execute, load_run

FILES = {
    "audit.json", "cards", "cohort.json", "config.json", "contract.json", "embeddings.parquet",
    "environment.json", "evidence.jsonl", "history.csv", "model.onnx", "outliers.npz",
    "predictions.parquet", "report.html", "shift.json", "split.csv", "tables",
    "weights.safetensors",
}  # fmt: skip
DRAWN = {"counterfactuals.parquet", "decoder.onnx", "interpolation.png", "swap.png"}
SHORT = {
    "erm": {"epochs": 2},
    "clear_vae": {"representation_epochs": 2, "classifier_epochs": 2},
}


@pytest.fixture(scope="module")
def subset(data, tmp_path_factory):
    """300 images of HAM10000, every class and collection among them; the zip as it is."""
    folder = tmp_path_factory.mktemp("ham10000")
    full = pd.read_csv(data / "ham10000" / "metadata.csv")
    cells = full.groupby(["malignant", "dataset"])
    few = cells.sample(n=38, random_state=0, replace=True).drop_duplicates("image_id")
    more = full[~full["image_id"].isin(few["image_id"])].sample(300 - len(few), random_state=0)
    pd.concat([few, more]).to_csv(folder / "metadata.csv", index=False)
    (folder / "images_200x150.zip").symlink_to(data / "ham10000" / "images_200x150.zip")
    return folder


@pytest.fixture(scope="module")
def cohort(subset):
    return read_cohort(CohortSchema.load(ROOT / "cohorts" / "ham10000.toml"), subset)


def config_of(name, **changes):
    values = {
        "cohort": CohortSchema.load(ROOT / "cohorts" / "ham10000.toml"),
        "method": {"name": name, **SHORT[name]},
        "shift": {
            "name": "unseen_combination", "attribute": "source", "seen": 2, "seen_test": 0.2,
            "validation": 0.3,
        },
        "size": 64,
        "audit": {"attributes": ["sex", "age", "source"], "draws": 200},
    }  # fmt: skip
    return RunConfig.parse(values | changes, "test")


@pytest.fixture(scope="module")
def runs(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENSCAN_CACHE", str(folder / "cache"))
        return {name: execute(config_of(name), folder / name, cohort=cohort) for name in SHORT}


@pytest.mark.parametrize("name", SHORT)
def test_a_run_directory_holds_everything_and_nothing_else(runs, name):
    directory = runs[name].directory
    expected = FILES | DRAWN if name == "clear_vae" else FILES
    assert {path.name for path in directory.iterdir()} == expected
    assert bool(runs[name].audit.counterfactuals) == (name == "clear_vae")
    assert load_run(directory).audit.to_json() == runs[name].audit.to_json()
    beside = {path.name for path in directory.parent.iterdir()}
    assert beside == {*SHORT, "cache"}


@pytest.mark.parametrize("name", SHORT)
def test_no_patient_is_trained_on_and_tested(runs, name):
    split = pd.read_csv(runs[name].directory / "split.csv")
    used = split[split["split"] != "unused"]
    assert (used.groupby("patient")["split"].nunique() == 1).all()
    predictions = pd.read_parquet(runs[name].directory / "predictions.parquet")
    assert set(predictions["split"]) == {"validation", "test"}


@pytest.mark.parametrize("name", SHORT)
def test_the_audit_is_of_the_unseen_combinations(runs, name):
    audit: Audit = runs[name].audit
    groups = {size.group: size.images for size in audit.cohort}
    assert groups["combination: unseen"] > 50
    assert groups["combination: seen"] > 0
    assert audit.thresholds[0].rule == "youden"
    latents = {each.latent for each in audit.leakage}
    assert latents == ({"content"} if name == "erm" else {"content", "style"})


@pytest.mark.parametrize("name", SHORT)
def test_predictions_are_those_of_the_served_model(runs, cohort, name):
    predictor = Predictor(runs[name].directory)
    table = pd.read_parquet(runs[name].directory / "predictions.parquet").head(5)
    images = np.stack([cohort.pixels(sample, predictor.contract) for sample in table["sample"]])
    found = predictor.predict(images)
    np.testing.assert_allclose(found.probability[:, 1], table["score"], atol=1e-5)
    np.testing.assert_allclose(found.probability.sum(axis=1), 1, atol=1e-5)
    assert predictor.classes == ("benign", "malignant")
    assert predictor.predict(images[:0]).probability.shape == (0, 2)


def test_the_same_config_and_seed_give_identical_weights_and_audit(runs, cohort, tmp_path):
    again = execute(config_of("erm"), tmp_path / "again", cohort=cohort)
    for name in ("weights.safetensors", "predictions.parquet", "audit.json", "report.html"):
        first, second = (run.directory / name for run in (runs["erm"], again))
        assert digest(first) == digest(second), name
    other = execute(config_of("erm", seed=1), tmp_path / "other", cohort=cohort)
    assert other.audit.digest != again.audit.digest


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_finished_run_is_returned_and_another_refused(runs, cohort):
    directory = runs["erm"].directory
    before = (directory / "model.onnx").stat().st_mtime_ns
    found = execute(config_of("erm"), directory, cohort=cohort)
    assert found.audit.to_json() == runs["erm"].audit.to_json()
    assert (directory / "model.onnx").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="another run is there"):
        execute(config_of("erm", seed=3), directory, cohort=cohort)


@pytest.mark.parametrize("name", ["config.json", "audit.json"])
def test_a_damaged_run_is_refused(runs, tmp_path, name):
    damaged = shutil.copytree(runs["erm"].directory, tmp_path / "run")
    (damaged / name).write_text("{")
    with pytest.raises(InputError, match="its files are damaged"):
        load_run(damaged)
    (damaged / name).unlink()
    with pytest.raises(InputError, match=f"there is no {name}"):
        load_run(damaged)


def test_an_interrupted_run_goes_on_and_ends_the_same(runs, cohort, tmp_path):
    class Stop(Exception):
        pass

    def stop(step):
        if "epoch 2" in step.name:
            raise Stop

    with pytest.raises(Stop):
        execute(config_of("erm"), tmp_path / "run", stop, cohort)
    assert not (tmp_path / "run").exists()
    assert (tmp_path / ".run.unfinished" / "checkpoint.safetensors").exists()
    seen = []
    run = execute(
        config_of("erm"), tmp_path / "run", lambda step: seen.append(step.name), cohort
    )
    assert not any("epoch 1 of 2" in name for name in seen)
    first, second = (each.directory / "weights.safetensors" for each in (runs["erm"], run))
    assert digest(first) == digest(second)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": {"name": "emr"}}, "no method is called 'emr'. Did you mean 'erm'"),
        ({"method": {"name": "erm", "epoch": 2}}, "unknown key 'epoch'. Did you mean 'epochs'"),
        ({"shift": {"name": "nome"}}, "no shift is called 'nome'. Did you mean 'none'"),
        ({"shift": {"name": "none", "seen": 2}}, "shift none: unknown key 'seen'"),
        ({"audit": {"attributes": ["gender"]}}, "no attribute is called 'gender'"),
        ({"sise": 28}, "unknown key 'sise'. Did you mean 'size'"),
        ({"size": 7}, "'size' is 7. Input should be greater than or equal to 8"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(
    cohort, tmp_path, changes, message
):
    with pytest.raises(InputError) as caught:
        execute(config_of("erm", **changes), tmp_path / "run", cohort=cohort)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_unreadable_image_is_named_and_leaves_no_run(subset, tmp_path, monkeypatch):
    import zipfile

    monkeypatch.setenv("EVENSCAN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "ham10000"
    folder.mkdir()
    manifest = pd.read_csv(subset / "metadata.csv")
    manifest.to_csv(folder / "metadata.csv", index=False)
    with (
        zipfile.ZipFile(subset / "images_200x150.zip") as whole,
        zipfile.ZipFile(folder / "images_200x150.zip", "w") as broken,
    ):
        for number, name in enumerate(manifest["image_id"]):
            content = whole.read(f"{name}.jpg")
            broken.writestr(f"{name}.jpg", content[:500] if number == 7 else content)
    schema = CohortSchema.load(ROOT / "cohorts" / "ham10000.toml")
    damaged = read_cohort(schema, folder)
    with pytest.raises(InputError) as caught:
        execute(config_of("erm"), tmp_path / "run", cohort=damaged)
    assert manifest["image_id"][7] in str(caught.value)
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "cache").glob("*.npy"))


def test_the_config_reads_back_as_it_was(runs):
    for run in runs.values():
        saved = json.loads((run.directory / "config.json").read_text())
        assert RunConfig.parse(saved, "config.json").resolved() == run.config
