"""What all tests share: real data, where it is there, and small made tables."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from evaluation.errors import InputError
from evaluation.pdf import weasyprint_module

# A busy machine is slow, not wrong.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets."""
    folder = Path(os.environ.get("EVENSCAN_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"the real data are not at {folder}; set EVENSCAN_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def printer() -> None:
    """Skips the test, with the reason, where reports cannot be printed to PDF."""
    try:
        weasyprint_module()
    except (ModuleNotFoundError, InputError) as error:
        pytest.skip(str(error))


def made_predictions(
    patients: int = 200, images: int = 2, seed: int = 0, gap: float = 0.0
) -> pd.DataFrame:
    """Predictions of patients with several images, two attributes and a gap.

    Args:
        patients: Number of patients.
        images: Images of each.
        seed: Of all chance.
        gap: How much less signal male patients have, 0 to 1.
    """
    generator = np.random.default_rng(seed)
    n = patients * images
    patient = np.repeat(np.arange(patients), images)
    label = generator.integers(0, 2, patients)[patient]
    sex = np.array(["female", "male"])[generator.integers(0, 2, patients)][patient]
    age = generator.integers(20, 90, patients)[patient].astype(float)
    signal = 1.5 * label * np.where(sex == "male", 1 - gap, 1.0)
    noise = generator.normal(size=patients)[patient] + generator.normal(size=n)
    score = 1 / (1 + np.exp(-(signal - 0.75 + noise)))
    return pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(n)],
            "patient": [f"p{i}" for i in patient],
            "label": label,
            "score": score,
            "sex": sex,
            "age": age,
        }
    )
