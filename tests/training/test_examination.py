"""The style test of a finished run: from the command to the report."""

import json
import sys

import pandas as pd
import pytest

from evaluation.audit import Audit, audit
from evaluation.cli import main
from evaluation.files import write_text
from tests.training.made_model import STYLE, write_classifier, write_run
from training.cache import cached_pixels
from training.cohort import CohortSchema, read_cohort
from training.config import RunConfig
from training.making import Making
from training.run import split_of

COHORT = {
    "name": "small",
    "format": "phantom",
    "sample": "image_id",
    "patient": "patient",
    "source": {"patients": 150, "size": 32},
    "label": {
        "column": "lesion",
        "classes": {"absent": ["absent"], "present": ["present"]},
    },
    "attributes": {"sex": {"categories": ["female", "male"]}, "skin_tone": {}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose model was not trained but made by hand."""
    folder = tmp_path_factory.mktemp("run")
    values = {"cohort": COHORT, "method": {"name": "clear_vae"}, "size": 28, "channels": 1}
    values["audit"] = {"draws": 100, "metrics": ["auroc"]}
    config = RunConfig.parse(values, "test").resolved()
    cohort = read_cohort(CohortSchema.parse(COHORT, "test"))
    pixels = cached_pixels(cohort, config.contract, folder / "cache")
    work = folder / "run"
    work.mkdir()
    write_text(work / "config.json", config.model_dump_json())
    making = Making(work, config, cohort, split_of(config, cohort), lambda step: None)
    making.describe()
    write_run(work, config.contract)
    predictions, embeddings = making.predict(pixels)
    exchanged = making.exchange(pixels, predictions)
    assert exchanged is not None
    found = audit(predictions, config.audit, None, embeddings, counterfactuals=exchanged)
    write_text(work / "audit.json", found.to_json())
    return work


@pytest.fixture
def evenscan(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["evenscan", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return (left.value.code or 0, *capsys.readouterr())

    return call


def test_a_run_writes_scores_and_grids_and_audits_them(run):
    made = {path.name for path in run.iterdir()}
    assert {"counterfactuals.parquet", "swap.png", "interpolation.png"} <= made
    table = pd.read_parquet(run / "counterfactuals.parquet")
    assert set(table["attribute"]) == {"sex", "skin_tone"}
    split = pd.read_csv(run / "split.csv", index_col="sample")["split"]
    assert set(split[table["sample"]]) == set(split[table["partner"]]) == {"test"}
    found = Audit.read(run / "audit.json")
    assert {e.value for e in found.counterfactuals if e.group == "all"} == {0.0}
    assert [each.name for each in found.pictures] == ["swap", "interpolation"]
    assert "made by" not in found.pictures[0].alt


def test_the_command_looks_with_another_classifier_and_writes_a_report(evenscan, run, tmp_path):
    contract = json.loads((run / "contract.json").read_text())["input"]
    assert contract["size"] == 28
    from training.imaging import InputContract

    write_classifier(tmp_path / "other.onnx", STYLE, InputContract(size=28, channels=1))
    arguments = ("--classifier", "other.onnx", "--attribute", "sex", "--samples", "60")
    code, printed, told = evenscan("counterfactual", run, *arguments, "--out", "out")
    assert code == 0, told
    assert "other" in printed
    assert "Report:" in printed
    found = Audit.read(tmp_path / "out" / "audit.json")
    assert {e.attribute for e in found.counterfactuals} == {"sex"}
    values = {e.classifier: e.value for e in found.counterfactuals if e.group == "all"}
    assert values["made"] == 0
    assert max(e.images or 0 for e in found.reconstructions) <= 60
    page = (tmp_path / "out" / "report.html").read_text()
    assert "test images take part, all those of" in page
    assert page.count("data:image/png;base64,") == 2
    assert (tmp_path / "out" / "swap.png").exists()
    again = evenscan("counterfactual", run, *arguments, "--out", "again")
    assert again[0] == 0
    for name in ("counterfactuals.parquet", "audit.json", "swap.png"):
        first, second = (tmp_path / folder / name for folder in ("out", "again"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attribute", "sax"], "Did you mean 'sex'"),
        (["--classifier", "none.onnx"], "no such file"),
        (["--partners", "many"], "'partners' is 'many'"),
        (["--samples", "0"], "'samples' is 0"),
        (["--threshold", "1.5"], "--threshold: it is 1.5"),
        (["--threshold", "nan"], "--threshold: it is nan"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(evenscan, run, tmp_path, arguments, message):
    code, _, told = evenscan("counterfactual", run, *arguments, "--out", "out")
    assert code == 1
    assert message in told
    assert not (tmp_path / "out").exists()


def test_a_run_without_decoder_is_refused(evenscan, run, tmp_path):
    import shutil

    other = shutil.copytree(run, tmp_path / "other")
    (other / "decoder.onnx").unlink()
    code, _, told = evenscan("counterfactual", other)
    assert code == 1
    assert "has no decoder.onnx" in told


def test_the_audit_command_reads_the_scores_of_others(evenscan, run):
    arguments = ("--policy", "screening", "--out", "out", "--attributes", "sex,skin_tone")
    scores = ("--counterfactuals", run / "counterfactuals.parquet", "--draws", "100")
    code, _, told = evenscan("audit", run / "predictions.parquet", *arguments, *scores)
    assert code in (0, 3, 4), told
