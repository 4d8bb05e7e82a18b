"""A model that was trained on one modality refuses DICOM files of another."""

import numpy as np
import pytest
from service_samples import is_problem, png, promoted, tiny

from tests.training.formats.dicom_samples import dicom
from training.config import RunConfig
from training.run import execute

COLOUR = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)


@pytest.fixture
def of_dermoscopy(empty, tmp_path, cache):
    """A service whose champion was trained on photographs of the skin, as its cohort says."""
    config = tiny()
    config["cohort"]["modality"] = ["XC", "DMS"]
    run = execute(RunConfig.parse(config, "test"), tmp_path / "dermoscopy").directory
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
