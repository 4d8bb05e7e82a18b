"""Leakage probes: what is there is found, what is not there is not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from evaluation.groups import MISSING
from evaluation.leakage import _Probe, leakage


def cohort(patients=120, images=3, seed=0):
    generator = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), images)
    label = generator.integers(0, 2, patients)[patient]
    sex = np.array(["f", "m"])[generator.integers(0, 2, patients)][patient]
    return generator, patient, label, sex


def probe(embedding, values, label, patient, draws=200):
    categorical = pd.Categorical(values)
    return leakage("content", embedding, "sex", categorical, label, patient, draws, 0, 0.95)


def test_an_attribute_in_the_embedding_is_read():
    generator, patient, label, sex = cohort()
    embedding = generator.normal(size=(len(sex), 8))
    embedding[:, 3] += 2 * (sex == "m")
    found = probe(embedding, sex, label, patient)
    assert found.auroc > 0.85
    assert found.low > found.chance_high
    assert found.low < found.auroc < found.high
    assert found.patients == 120


def test_an_embedding_of_patient_identity_alone_is_at_chance():
    """Split by image, the same probe reads 0.8: it recognises the patient."""
    generator, patient, label, sex = cohort()
    identity = generator.normal(size=(patient.max() + 1, 32))[patient]
    embedding = identity + 0.3 * generator.normal(size=(len(sex), 32))
    found = probe(embedding, sex, label, patient)
    assert found.auroc < found.chance_high
    assert abs(found.auroc - 0.5) < 0.15


def test_knowing_the_label_is_not_leakage():
    """An attribute tied to the label cannot be read within a label from the label alone."""
    generator, patient, label, _ = cohort(patients=600)
    sex = np.where(generator.random(patient.max() + 1)[patient] < 0.9, label, 1 - label)
    embedding = label[:, None] + 0.1 * generator.normal(size=(len(label), 4))
    found = probe(embedding, np.array(["f", "m"])[sex], label, patient)
    assert found.auroc < 0.65


def test_missing_values_are_left_out_and_small_categories_too():
    generator, patient, label, sex = cohort()
    embedding = generator.normal(size=(len(sex), 4))
    values = sex.astype(object)
    values[patient < 10] = MISSING
    values[(patient >= 10) & (patient < 14)] = "x"
    found = probe(embedding, values, label, patient)
    assert found.patients == 106
    nothing = probe(embedding, np.full(len(sex), "f"), label, patient)
    assert np.isnan(nothing.auroc)
    assert "two categories" in nothing.reason


def test_equals_scikit_learn_fold_by_fold():
    generator, patient, _, sex = cohort()
    embedding = generator.normal(size=(len(sex), 6))
    embedding[:, 0] += sex == "m"
    ours = _Probe(embedding, sex, patient, seed=0)
    truth = (sex == "m").astype(float)
    scores = np.empty(len(sex))
    folds = GroupKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(embedding, groups=patient):
        mean, spread = embedding[train].mean(axis=0), embedding[train].std(axis=0)
        scaled = (embedding - mean) / spread
        ridge = Ridge(alpha=0.01 * len(train)).fit(scaled[train], truth[train])
        scores[test] = ridge.predict(scaled[test])
    np.testing.assert_allclose(ours.scores[0][:, 1], scores, atol=1e-9)
    assert float(ours.auroc(ours.scores[0])) == pytest.approx(roc_auc_score(truth, scores))


def test_chance_is_not_narrowed_by_images_that_agree_within_patients():
    """Where images mostly go with their patient, the band stays that of patients."""
    generator, patient, label, sex = cohort(patients=100, images=5)
    mostly = sex.copy()
    mostly[0] = "f" if sex[0] == "m" else "m"  # one image of one patient differs
    identity = generator.normal(size=(patient.max() + 1, 8))[patient]
    constant = probe(identity, sex, label, patient)
    varying = probe(identity, mostly, label, patient)
    assert abs(constant.chance_high - varying.chance_high) < 0.05
    assert varying.chance_high > 0.55


def test_permutations_keep_the_images_of_a_patient_together():
    generator, patient, _, sex = cohort()
    ours = _Probe(generator.normal(size=(len(sex), 4)), sex, patient, seed=0)
    for truth in ours.truths[1:]:
        for each in (truth[:, 1][patient == p] for p in range(20)):
            assert len(set(each)) == 1
    assert (ours.truths[1:].sum(axis=1) == ours.truths[0].sum(axis=0)).all()
