"""The commands of training: what they print, what they leave, how they end."""

import sys

import pytest

from evaluation.cli import main

PHANTOM = """
name = "small"
format = "phantom"
sample = "image_id"
patient = "patient"
[source]
patients = 150
size = 32
[label]
column = "lesion"
classes = { absent = ["absent"], present = ["present"] }
[attributes.sex]
categories = ["female", "male"]
"""
RUN = """
cohort = "cohort.toml"
size = 28
[method]
name = "erm"
epochs = 1
[audit]
draws = 100
"""
POLICY = """
[policy]
name = "strict"
[[policy.clause]]
quantity = "overall"
metric = "auroc"
minimum = {minimum}
"""


@pytest.fixture
def evenscan(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cohort.toml").write_text(PHANTOM)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["evenscan", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return (left.value.code or 0, *capsys.readouterr())

    return call


@pytest.mark.parametrize(("minimum", "expected"), [(0.0, 0), (1.0, 3), (None, 0)])
def test_train_ends_with_the_verdict_and_names_the_run(evenscan, tmp_path, minimum, expected):
    policy = "" if minimum is None else POLICY.format(minimum=minimum)
    (tmp_path / "run.toml").write_text(RUN + policy)
    code, printed, _ = evenscan("train", "run.toml", "--out", "runs")
    assert code == expected, printed
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name in printed
    assert (run / "report.html").exists()
    again, printed, _ = evenscan("train", "run.toml", "--out", "runs")
    assert (again, run.name in printed) == (expected, True)
    assert [run] == list((tmp_path / "runs").iterdir())


def test_train_refuses_bad_settings_and_leaves_nothing(evenscan, tmp_path):
    (tmp_path / "run.toml").write_text(RUN.replace("erm", "emr"))
    code, _, told = evenscan("train", "run.toml", "--out", "runs")
    assert code == 1
    assert "no method is called 'emr'. Did you mean 'erm'?" in told
    named = 'name = "erm"'
    assert named in RUN
    paper = RUN.replace("28", "33").replace(named, named + '\nnetwork = "paper"')
    (tmp_path / "run.toml").write_text(paper)
    code, _, told = evenscan("train", "run.toml", "--out", "runs")
    assert code == 1
    assert "no network for images of 33 pixels" in told
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / ".evenscan").exists()


def test_a_written_phantom_passes_the_check_and_a_damaged_one_does_not(evenscan, tmp_path):
    assert evenscan("cohort", "write", "cohort.toml", "--out", "written")[0] == 0
    arguments = ("cohort", "check", "written/cohort.toml", "--data", "written")
    code, printed, told = evenscan(*arguments)
    assert code == 0, told
    assert "150 patients" in printed
    (first, second, *_) = sorted((tmp_path / "written" / "images").iterdir())
    first.write_bytes(first.read_bytes()[:300])
    second.write_text("no image")
    code, _, told = evenscan(*arguments)
    assert code == 1
    assert first.name in told
    assert second.name in told


def test_cohort_write_wants_a_phantom_and_an_empty_folder(evenscan, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    code, _, told = evenscan("cohort", "write", "cohort.toml", "--out", "full")
    assert code == 1
    assert "not empty" in told
