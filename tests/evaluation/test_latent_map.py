"""Map: one point a patient, the same each time."""

import numpy as np
import pandas as pd
import pytest

from evaluation.latent_map import CAUTION, latent_map


def cohort(patients=100, images=3, width=5):
    generator = np.random.default_rng(0)
    patient = np.repeat(np.arange(patients), images)
    code = generator.normal(size=(patients, width))[patient]
    label = generator.integers(0, 2, patients)[patient].astype(float)
    sex = {
        "sex": pd.Categorical(np.array(list("fm"))[generator.integers(0, 2, patients)][patient])
    }
    return code, sex, label, patient


def test_points_are_patients_with_their_groups():
    code, sex, label, patient = cohort()
    # Images of a patient have one code: a point is a patient.
    found = latent_map("content", code, sex, label, patient, 600, 0)
    assert len(set(found.x)) == len(found.x) == len(found.y) == 100
    assert len(found.label) == len(found.groups["sex"]) == 100
    assert set(found.label) == {"0", "1"}
    assert found.caution == CAUTION
    assert found == latent_map("content", code, sex, label, patient, 600, 0)
    assert len(latent_map("content", code, sex, label, patient, 30, 0).x) == 30


def test_coordinates_are_principal_components():
    code, sex, label, patient = cohort(images=1)
    code[:, 3] *= 10
    found = latent_map("style", code, sex, label, patient, 600, 0)
    assert abs(np.corrcoef(found.x, code[:, 3])[0, 1]) > 0.99
    variance = np.linalg.eigvalsh(np.cov(code.T))[::-1]
    assert found.explained == pytest.approx(tuple(variance[:2] / variance.sum()))


def test_one_dimension_none_and_unknown_labels():
    code, sex, label, patient = cohort()
    flat = latent_map(
        "content", code[:, :1], sex, np.where(patient < 50, np.nan, label), patient, 600, 0
    )
    assert set(flat.y) == {0.0}
    assert flat.explained == pytest.approx((1, 0))
    assert flat.label.count("") == 50
    constant = latent_map("content", np.zeros_like(code), sex, label, patient, 600, 0)
    assert constant.x == ()
    assert constant.reason == "the embedding is constant"
