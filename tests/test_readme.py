"""The README names what there is, and its commands exist."""

import re
import subprocess
import sys
import tomllib

import pandas as pd
import pytest

from evaluation.card import CARDS
from evaluation.metric import METRICS
from evaluation.predictions import Predictions
from evaluation.probe import PROBES
from evaluation.section import SECTIONS
from evaluation.shift import SHIFTS
from service.app import ROUTES
from service.settings import ServiceSettings
from tests.conftest import ROOT, made_predictions
from training.format import FORMATS
from training.method import METHODS

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(
    r"^(?:EVENSCAN\S+ )?evenscan (\S.*?)(?:\s{2,}#.*)?$", README, re.MULTILINE
)

FOLDERS = {
    "evaluation/metrics": METRICS.names,
    "evaluation/shifts": SHIFTS.names,
    "evaluation/sections": SECTIONS.names,
    "evaluation/probes": PROBES.names,
    "evaluation/cards": CARDS.names,
    "training/formats": FORMATS.names,
    "training/methods": METHODS.names,
    "service/routes": ROUTES.names,
}


def evenscan(*arguments, cwd=ROOT):
    command = [sys.executable, "-c", "from evaluation.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_plug_in_is_named(folder):
    (row,) = re.findall(rf"^\| `{folder}` \| (.*) \|$", README, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == FOLDERS[folder]()


SETTINGS = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| ([^|]*) \| [^|]* \|$", re.MULTILINE)


def test_every_setting_of_the_service_is_listed_with_its_default():
    listed = {}
    for names, defaults in SETTINGS.findall(README):
        known, told = re.findall(r"`(\w+)`", names), defaults.split(", ")
        listed |= zip(known, told if told[1:] else told * len(known), strict=True)
    fields = ServiceSettings.model_fields
    assert set(listed) == {name.upper() for name in fields}
    for name, default in listed.items():
        if default.startswith("`"):
            assert default.strip("`") == str(fields[name.lower()].default), name


def test_every_extra_is_named():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in set(project["optional-dependencies"]) - {"all", "dev"}:
        assert f"`{extra}`" in README or f"[{extra}]" in README, extra


def test_every_make_target_is_there():
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"(?:`|^)make ([\w-]+)", README, re.MULTILINE))
    assert {"demo", "test", "check"} <= used
    assert used <= targets


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_known(command):
    words = [word for word in command.split() if not word.startswith("-")]
    groups = {"cohort": 2, "models": 2}
    done = evenscan(*words[: groups.get(words[0], 1)], "--help")
    assert done.returncode == 0, done.stderr
    for option in re.findall(r"--[\w-]+", command):
        assert option in done.stdout


def test_the_audit_command_runs_as_written(tmp_path):
    (command,) = [each for each in COMMANDS if each.startswith("audit ")]
    Predictions.from_table(made_predictions(), ["sex", "age"]).write(
        tmp_path / "predictions.csv"
    )
    done = evenscan(*command.split(), cwd=tmp_path)
    assert done.returncode in (0, 3, 4), done.stderr
    assert (tmp_path / "audit" / "report.html").exists()


def test_files_that_are_named_exist():
    for name in re.findall(r"(?:benchmarks|cohorts|policies)/[\w/]+\.(?:toml|py)", README):
        assert (ROOT / name).exists(), name


def test_nothing_unmeasured_is_left_open():
    for name in ("demo", "ham10000", "nih", "speed"):
        (block,) = re.findall(
            rf"<!-- {name}:begin -->(.*)<!-- {name}:end -->", README, re.DOTALL
        )
        assert "|" in block, name


def test_the_table_of_the_chest_models_is_the_stored_one():
    from benchmarks.nih import markdown

    assert markdown(pd.read_csv(ROOT / "benchmarks" / "results" / "nih.csv")) in README


def test_the_table_of_styled_mnist_is_the_stored_one():
    from benchmarks.styled_mnist import COMPARED, markdown

    assert markdown(pd.read_csv(COMPARED)) in README


def test_the_tables_of_the_studies_are_the_stored_ones():
    from benchmarks.study import markdown

    assert markdown(pd.read_csv(ROOT / "benchmarks" / "results" / "ham10000.csv")) in README
