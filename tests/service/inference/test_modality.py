"""A model that was trained on one modality refuses DICOM files of another."""

import json
import shutil

import numpy as np
import pytest
from service_samples import is_problem, png, promoted

from tests.training.formats.dicom_samples import dicom

COLOUR = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)


@pytest.fixture
def of_dermoscopy(empty, trained, tmp_path):
    """A service whose champion takes photographs of the skin only."""
    run = shutil.copytree(trained, tmp_path / "dermoscopy")
    contract = json.loads((run / "contract.json").read_text())
    (run / "contract.json").write_text(json.dumps(contract | {"modality": ["XC", "DMS"]}))
    promoted(empty.services.registry, run)
    return empty.client


def ask(client, data):
    return client.post("/v1/predictions", files={"images": ("a", data)})


def test_another_modality_is_refused(of_dermoscopy):
    assert ask(of_dermoscopy, dicom(COLOUR, Modality="DMS")).status_code == 200
    refused = is_problem(ask(of_dermoscopy, dicom(COLOUR, Modality="CT")), 422)
    assert "its modality is 'CT'" in refused["detail"]
    assert "XC or DMS" in refused["detail"]


def test_files_that_name_none_are_judged_by_their_pixels(of_dermoscopy):
    assert ask(of_dermoscopy, png()).status_code == 200


def test_without_a_declared_modality_any_is_taken(served):
    assert ask(served.client, dicom(COLOUR, Modality="CT")).status_code == 200
