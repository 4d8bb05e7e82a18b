"""Imports go one way, and what must stay light stays light."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

LIGHT = {
    "evaluation.cli": ["torch", "monai", "fastapi", "sqlalchemy", "pandas", "sklearn"],
    "evaluation.audit": ["torch", "monai", "fastapi", "sqlalchemy", "onnxruntime"],
    "training.cli": ["torch", "monai", "pandas"],
    "training.config": ["torch", "monai", "onnxruntime", "fastapi"],
    "training.predictor": ["torch", "monai", "fastapi"],
    "service.cli": ["torch", "fastapi", "sqlalchemy", "dbos"],
    "service.app": ["torch", "monai"],
}


def test_import_contracts_hold():
    code = "from importlinter.cli import lint_imports_command as check; check()"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = set(LIGHT[module]) & set(loaded.stdout.split())
    assert not heavy


def test_no_rubbish_rooms():
    banned = {"utils", "helpers", "common", "misc", "manager"}
    names = {
        path.stem.lower()
        for package in ("evaluation", "training", "service")
        for path in (ROOT / package).rglob("*.py")
    }
    assert not names & banned
