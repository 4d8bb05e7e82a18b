"""Information: equal to its slow definition, and patients do not count as information."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import silhouette_score

from evaluation.latent_information import latent_information, mutual_information
from evaluation.metric import Array


def cohort(patients=300, images=1, width=3, seed=0):
    generator = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), images)
    label = generator.integers(0, 2, patients)[patient].astype(float)
    group = generator.integers(0, 3, patients)[patient]
    codes = {
        name: generator.normal(size=(len(patient), width)) for name in ("content", "style")
    }
    return codes, pd.Categorical(np.array(list("abc"))[group]), label, patient


def entropy(values: Array) -> float:
    _, counts = np.unique(values, return_counts=True)
    return -sum(count / len(values) * np.log(count / len(values)) for count in counts)


def test_equals_the_definition_with_one_image_a_patient():
    codes, values, label, patient = cohort()
    codes["content"][:, 1] += values.codes
    codes["style"][:, 0] += 2 * values.codes
    codes["style"][:, 2] -= values.codes
    content, style = latent_information(codes, "site", values, label, patient, 0)
    each = {
        name: mutual_info_classif(code, values.codes, random_state=0) / entropy(values.codes)
        for name, code in codes.items()
    }
    for found, name in ((content, "content"), (style, "style")):
        first, second, _ = sorted(each[name], reverse=True)
        assert found.information == pytest.approx(each[name].mean(), abs=1e-6)
        assert found.mig == pytest.approx(first - second, abs=1e-6)
        silhouette = [
            silhouette_score(codes[name][label == y], values.codes[label == y]) for y in (0, 1)
        ]
        sizes = [(label == y).sum() for y in (0, 1)]
        assert found.silhouette == pytest.approx(np.average(silhouette, weights=sizes))
    assert content.gmig == pytest.approx(
        each["content"].mean() - each["style"].mean(), abs=1e-6
    )
    assert style.gmig == -content.gmig > 0
    assert (content.predicts, content.attribute, content.patients) == ("attribute", "site", 300)
    assert content.reason == ""


def test_mutual_information_one_neighbour_at_a_time():
    """Ross (2014), eq. 1 to 3, in a loop."""
    from scipy.special import digamma

    generator = np.random.default_rng(0)
    code = generator.integers(0, 3, 80)
    value = generator.normal(size=80) + code
    terms = []
    for i in range(80):
        own = np.sort(np.abs(value[code == code[i]] - value[i]))
        nearer = (np.abs(value - value[i]) < own[3]).sum()
        size = (code == code[i]).sum()
        terms.append(digamma(80) - digamma(size) + digamma(3) - digamma(nearer))
    found = mutual_information(value, code, generator)
    assert found == pytest.approx(max(0, np.mean(terms)), abs=1e-6)


def test_known_information():
    """Two normals two apart: I = H(mixture) - H(normal), integrated numerically."""
    grid = np.linspace(-10, 12, 20001)
    normal = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
    mixture = (normal + np.exp(-((grid - 2) ** 2) / 2) / np.sqrt(2 * np.pi)) / 2
    mixed = -np.trapezoid(mixture * np.log(mixture), grid)
    true = mixed - 0.5 * np.log(2 * np.pi * np.e)
    generator = np.random.default_rng(0)
    code = generator.integers(0, 2, 20_000)
    value = generator.normal(size=20_000) + 2 * code
    assert mutual_information(value, code, generator) == pytest.approx(true, abs=0.015)


def test_a_perfect_content_has_a_gap_of_one():
    codes, values, _, patient = cohort(patients=900, width=1)
    codes["content"] = values.codes[:, None] * 10.0 + codes["content"]
    content, style = latent_information(codes, "site", values, None, patient, 0)
    assert content.gmig == pytest.approx(1, abs=0.05)
    assert style.gmig == -content.gmig
    assert content.predicts == "label"
    assert np.isnan(content.mig)
    assert content.reason == "MIG: one dimension"


def test_images_of_a_patient_do_not_pass_for_information():
    """Of all images, those of one patient would tell 0.3 and more of an unrelated group."""
    codes, values, label, patient = cohort(patients=300, images=4)
    identity = np.random.default_rng(5).normal(size=(300, 3))[patient]
    codes = {"content": identity + 1e-3 * codes["content"]}
    [found] = latent_information(codes, "site", values, label, patient, 0)
    naive = mutual_info_classif(codes["content"], values.codes, random_state=0).mean()
    assert naive / entropy(values.codes) > 0.3
    assert found.information < 0.05
    assert found.patients == 300
    assert "no style embedding" in found.reason
    assert np.isnan(found.gmig)


def test_ties_and_constants_tell_nothing_they_do_not_know():
    codes, values, label, patient = cohort()
    codes = {"content": np.full((300, 2), 1e5 / 3), "style": np.repeat([[0.0], [1.0]], 150, 0)}
    content, style = latent_information(codes, "site", values, label, patient, 0)
    assert content.information == content.mig == 0
    assert np.isnan(content.silhouette)
    assert "constant" in content.reason
    assert style.information < 0.05
    assert (
        mutual_information(np.arange(3.0), np.array([0, 1, 1]), np.random.default_rng(0)) == 0
    )
    assert (
        mutual_information(np.arange(3.0), np.array([0, 1, 2]), np.random.default_rng(0)) == 0
    )


def test_too_few_patients():
    codes, values, label, patient = cohort(patients=50)
    for found in latent_information(codes, "site", values, label, patient, 0):
        assert np.isnan([found.information, found.gmig, found.mig, found.silhouette]).all()
        assert found.reason.startswith("fewer than two categories")
        assert found.patients == 0
