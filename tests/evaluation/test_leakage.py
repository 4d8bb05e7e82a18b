"""Leakage: what is there is found, what is not there is not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.errors import InputError
from evaluation.groups import MISSING
from evaluation.leakage import LeakageSpec, leakages
from evaluation.metrics.auroc import auroc
from evaluation.probe_scores import read
from evaluation.settings import Settings
from evaluation.strata import strata

QUICK = LeakageSpec(permutations=40, mode_permutations=99)
# Thirty-five perceptrons a stratum are not quick; twelve are.
QUICKEST = LeakageSpec(folds=3, permutations=20, mode_permutations=99)


def cohort(patients=120, images=3, seed=0):
    generator = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), images)
    label = generator.integers(0, 2, patients)[patient].astype(float)
    sex = np.array(["f", "m"])[generator.integers(0, 2, patients)][patient]
    return generator, patient, label, sex


def probe(embedding, values, label, patient, spec=QUICK, draws=200, **which):
    """The one finding about the attribute that is asked for."""
    found = leakages(
        {"content": embedding},
        {"sex": pd.Categorical(values)},
        label,
        patient,
        spec,
        draws,
        0,
        0.95,
    )
    wanted = {"predicts": "attribute", "given_label": True, "probe": "linear"} | which
    [one] = [
        each
        for each in found.probes
        if all(getattr(each, name) == value for name, value in wanted.items())
    ]
    return one


def test_an_attribute_in_the_embedding_is_read():
    generator, patient, label, sex = cohort()
    embedding = generator.normal(size=(len(sex), 8))
    embedding[:, 3] += 2 * (sex == "m")
    found = probe(embedding, sex, label, patient, LeakageSpec())
    assert found.auroc > 0.85
    assert found.low > found.chance_high
    assert found.low < found.auroc < found.high
    assert found.patients == 120
    assert (found.dimensions, found.reason) == (8, "")


@pytest.mark.parametrize("name", ["linear", "knn", "mlp"])
def test_an_embedding_of_patient_identity_alone_is_at_chance(name):
    """Split by image, a probe reads 0.8 and more: it recognises the patient."""
    generator, patient, label, sex = cohort()
    identity = generator.normal(size=(patient.max() + 1, 32))[patient]
    embedding = identity + 0.3 * generator.normal(size=(len(sex), 32))
    spec = (QUICKEST if name == "mlp" else QUICK).model_copy(update={"probes": (name,)})
    found = probe(embedding, sex, label, patient, spec, probe=name)
    assert found.auroc < found.chance_high
    assert abs(found.auroc - 0.5) < 0.15


def test_wide_noise_is_inside_its_band():
    """64 dimensions of noise and 400 samples: 0.85 on the training samples themselves."""
    generator, patient, label, sex = cohort(patients=400, images=1)
    found = probe(generator.normal(size=(400, 64)), sex, label, patient, given_label=False)
    assert found.auroc < found.chance_high
    assert 0.4 < found.auroc < 0.6


def test_knowing_the_label_leaks_what_goes_with_it_only_if_the_label_is_not_given():
    generator, patient, label, _ = cohort(patients=600)
    sex = np.where(generator.random(patient.max() + 1)[patient] < 0.9, label, 1 - label)
    sex = np.array(["f", "m"])[sex.astype(int)]
    embedding = label[:, None] + 0.1 * generator.normal(size=(len(label), 4))
    assert probe(embedding, sex, label, patient).auroc < 0.65
    assert probe(embedding, sex, label, patient, given_label=False).auroc > 0.8
    assert (
        probe(embedding, sex, label, patient, predicts="label", given_label=False).auroc > 0.95
    )


@pytest.mark.parametrize(("name", "finds"), [("linear", False), ("knn", True), ("mlp", True)])
def test_an_attribute_folded_into_the_signs_of_two_dimensions(name, finds):
    """No line separates the signs' agreement; neighbours and hidden units do."""
    generator, patient, label, _ = cohort(patients=800, images=1)
    embedding = generator.normal(size=(800, 2))
    sex = np.where(embedding.prod(axis=1) > 0, "f", "m")
    spec = (QUICKEST if name == "mlp" else QUICK).model_copy(update={"probes": (name,)})
    found = probe(embedding, sex, label, patient, spec, probe=name)
    assert (found.auroc > 0.9) == finds
    assert (found.low > found.chance_high) == finds


def test_a_probe_too_slow_for_permutations_says_whose_band_it_has():
    generator, patient, label, sex = cohort(images=1)
    spec = QUICKEST.model_copy(update={"probes": ("mlp", "linear")})
    embedding = generator.normal(size=(len(sex), 4))
    found = probe(embedding, sex, label, patient, spec, probe="mlp")
    linear = probe(embedding, sex, label, patient, spec)
    assert found.chance_of == linear.chance_of == "linear"
    assert found.chance_high == linear.chance_high
    assert "the linear probe" in found.reason
    assert linear.reason == ""


def test_missing_values_are_left_out_and_small_categories_too():
    generator, patient, label, sex = cohort()
    embedding = generator.normal(size=(len(sex), 4))
    values = sex.astype(object)
    values[patient < 10] = MISSING
    values[(patient >= 10) & (patient < 14)] = "x"
    assert probe(embedding, values, label, patient).patients == 106
    unknown = np.where(patient < 10, np.nan, label)
    assert probe(embedding, sex, unknown, patient).patients == 110
    assert probe(embedding, sex, unknown, patient, given_label=False).patients == 120


def test_a_label_that_is_left_out_is_told_of():
    generator, patient, _, sex = cohort()
    embedding = generator.normal(size=(len(sex), 4))
    rare = (patient < 20).astype(float)
    found = probe(embedding, sex, rare, patient)
    assert found.patients == 100
    assert found.reason == "read within 1 of 2 labels"


@pytest.mark.parametrize("probes", [("linear", "knn"), ("mlp",)])
def test_nothing_to_compare_is_undefined_with_a_reason(probes):
    generator, patient, label, sex = cohort(patients=30)
    spec = QUICK.model_copy(update={"probes": probes})
    embedding = generator.normal(size=(len(sex), 2))
    for values in (np.full(len(sex), "f"), sex, np.full(len(sex), MISSING)):
        found = leakages(
            {"style": embedding},
            {"a": pd.Categorical(values)},
            label,
            patient,
            spec,
            100,
            0,
            0.9,
        )
        assert len(found.probes) == 3 * len(probes)
        assert all(np.isnan(each.auroc) for each in found.probes)
        assert "no label has two categories" in found.probes[0].reason
        assert found.probes[len(probes)].reason.startswith("fewer than two categories")
        assert all(np.isnan(each.q) and each.reason for each in found.modes)
        assert all(np.isnan(each.gmig) and each.reason for each in found.information)


@pytest.mark.parametrize("name", ["linear", "knn", "mlp"])
@pytest.mark.parametrize("width", [1, 5, 400])
def test_constant_narrow_and_wide_embeddings(name, width):
    generator, patient, label, sex = cohort(images=1)
    spec = (QUICKEST if name == "mlp" else QUICK).model_copy(update={"probes": (name,)})
    noise = generator.normal(size=(len(sex), width))
    assert 0 < probe(noise, sex, label, patient, spec, probe=name).auroc < 1
    constant = np.full((len(sex), width), 1e6 / 3)
    found = probe(constant, sex, label, patient, spec, probe=name)
    assert found.auroc < 0.75
    if name == "linear":
        assert (found.auroc, found.low, found.high, found.chance_high) == (0.5, 0.5, 0.5, 0.5)


def test_the_widest_embedding_is_read_in_principal_components_and_it_is_said():
    generator, patient, label, sex = cohort()
    embedding = generator.normal(size=(len(sex), 50))
    embedding[:, 7] += 5 * (sex == "m")
    spec = QUICK.model_copy(update={"widest": 10})
    found = probe(embedding, sex, label, patient, spec)
    assert found.dimensions == 10
    assert "leading 10 of 50 principal components" in found.reason
    assert found.auroc > 0.9


def test_pixels_are_a_baseline_of_the_probes_only():
    generator, patient, label, sex = cohort()
    embedding = {name: generator.normal(size=(len(sex), 3)) for name in ("content", "pixels")}
    sex = {"sex": pd.Categorical(sex)}
    found = leakages(embedding, sex, label, patient, QUICK, 100, 0, 0.95)
    assert {each.latent for each in found.probes} == {"content", "pixels"}
    assert {each.latent for each in found.maps} == {"content", "pixels"}
    assert {each.latent for each in found.information} == {"content"}
    assert {each.latent for each in found.modes} == {"content"}


def test_findings_are_plain_data_and_the_same_each_time():
    generator, patient, label, sex = cohort()
    embedding = {"content": generator.normal(size=(len(sex), 3))}
    sex, steps = {"sex": pd.Categorical(sex)}, []
    first, second = (
        leakages(
            embedding,
            sex,
            label,
            patient,
            QUICK,
            100,
            7,
            0.95,
            lambda *step: steps.append(step),
        )
        for _ in range(2)
    )
    assert str(first) == str(second)
    assert steps[:3] == [(1, 3), (2, 3), (3, 3)]
    for each in [*first.probes, *first.information, *first.modes, *first.maps]:
        assert isinstance(each, Settings)
        assert str(type(each).model_validate_json(each.model_dump_json())) == str(each)


def test_three_labels_and_three_categories():
    """The definition: one against the rest, mean of categories, then of labels by samples."""
    generator, patient, _, _ = cohort(patients=300, images=2)
    label = generator.integers(0, 3, 300)[patient].astype(float)
    site = generator.integers(0, 3, 300)[patient]
    embedding = generator.normal(size=(600, 4)) + 0.5 * site[:, None]
    values = pd.Categorical(np.array(list("ABC"))[site])
    means, sizes = [], []
    for part in strata(values, label, patient):
        truth, score = read("linear", embedding[part.rows], part, 5, 40, 0)
        each = [roc_auc_score(truth[0, :, k], score[0, :, k]) for k in range(3)]
        means.append(np.mean(each))
        sizes.append(len(part.rows))
    assert len(sizes) == 3
    found = probe(embedding, values, label, patient)
    assert found.auroc == pytest.approx(np.average(means, weights=sizes), abs=1e-12)


def test_chance_is_not_narrowed_by_images_that_agree_within_patients():
    """Where images mostly go with their patient, the band stays that of patients."""
    generator, patient, label, sex = cohort(patients=100, images=5)
    mostly = sex.copy()
    mostly[0] = "f" if sex[0] == "m" else "m"  # one image of one patient differs
    identity = generator.normal(size=(patient.max() + 1, 8))[patient]
    constant = probe(identity, sex, label, patient, LeakageSpec())
    varying = probe(identity, mostly, label, patient, LeakageSpec())
    assert abs(constant.chance_high - varying.chance_high) < 0.05
    assert varying.chance_high > 0.55


@pytest.mark.parametrize("name", ["linear", "knn"])
def test_the_band_of_chance_is_passed_once_in_twenty_times(name):
    """Nothing there, four images a patient that look alike; binomial(200, .05) < 19 in 99 %."""
    passed = 0
    times = 200 if name == "linear" else 60
    for seed in range(times):
        generator, patient, _, sex = cohort(patients=80, images=4, seed=seed)
        identity = generator.normal(size=(80, 3))[patient]
        embedding = identity + 0.5 * generator.normal(size=(len(sex), 3))
        [part] = strata(pd.Categorical(sex), None, patient)
        truth, score = read(name, embedding, part, 5, 40, seed)
        each = [auroc(t[:, 1], s[:, 1]) for t, s in zip(truth, score, strict=True)]
        passed += each[0] > np.quantile(each[1:], 0.95)
    # 40 permutations: the nominal rate is 2 of 41 to 3 of 41.
    assert passed / times < (0.1 if name == "linear" else 0.15)
    assert passed > 0


def test_settings_name_the_probes_that_there_are():
    assert LeakageSpec(probes=("knn", "knn")).probes == ("knn",)
    with pytest.raises(InputError, match=r"no probe is called 'nearest'.*knn, linear, mlp"):
        LeakageSpec.parse({"probes": ["nearest"]}, "audit")
    with pytest.raises(InputError, match="folds"):
        LeakageSpec.parse({"folds": 2}, "audit")
