"""The demo, on a cohort and with trainings small enough for a test."""

import io

import pytest
from rich.console import Console

from evaluation.errors import InputError
from service import demo as module
from tests.conftest import ROOT


def test_the_demo_trains_audits_registers_and_serves(tmp_path, monkeypatch):
    text = (ROOT / "cohorts" / "phantom.toml").read_text()
    small = tmp_path / "phantom.toml"
    small.write_text(text.replace("patients = 700", "patients = 150").replace("0.5\n", "0.2\n"))
    short = {"representation_epochs": 1, "classifier_epochs": 1}
    monkeypatch.setattr(module, "METHODS", {"erm": {"epochs": 1}, "clear_vae": short})
    monkeypatch.setenv("EVENSCAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EVENSCAN_DATABASE_URL", f"sqlite:///{tmp_path / 'theirs.db'}")
    console = Console(width=100, record=True, file=io.StringIO())
    module.demo(small, "default", tmp_path / "demo", console)
    text = console.export_text()
    assert "POST /v1/predictions {'image':" in text
    assert "POST /v1/embeddings " in text
    for name in ("erm", "clear_vae"):
        assert f"Report of {name}: " in text
    assert not (tmp_path / "theirs.db").exists()
    assert len(list((tmp_path / "demo" / "runs").glob("phantom-*"))) == 2


def test_another_cohort_in_the_folder_is_not_taken_for_this_one(tmp_path):
    text = (ROOT / "cohorts" / "phantom.toml").read_text()
    small, other = tmp_path / "small.toml", tmp_path / "other.toml"
    small.write_text(text.replace("patients = 700", "patients = 20"))
    other.write_text(text.replace("patients = 700", "patients = 21"))
    console = Console(file=io.StringIO())
    for _ in range(2):
        module._written(small, tmp_path / "cohort", console)
    with pytest.raises(InputError, match="it holds another cohort"):
        module._written(other, tmp_path / "cohort", console)


def test_a_service_that_does_not_start_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with (
        pytest.raises(InputError, match="it stopped before it listened"),
        module._served(tmp_path),
    ):
        pass
