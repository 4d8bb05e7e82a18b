"""The generated cohort: what it promises about itself."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import StandardScaler

from evaluation.errors import InputError
from training.cohort import CohortSchema, read_cohort
from training.formats.phantom import write_phantom
from training.imaging import InputContract
from training.phantom.dermatoscopy import draw
from training.phantom.patients import CATEGORIES, PhantomSettings, generate_patients, shares

DEMO = CohortSchema.load(Path(__file__).parents[3] / "cohorts" / "phantom.toml")
SMALL = InputContract(size=16)


def phantom(**source):
    return DEMO.model_copy(update={"source": {"patients": 20, "size": 32, "seed": 1} | source})


def generated(**source):
    return generate_patients(PhantomSettings.parse(source, "test"))


def lesion_auroc(pixels, label):
    """How well a straight line through the pixels tells two groups, by 4-fold prediction."""
    flat = StandardScaler().fit_transform(pixels.reshape(len(pixels), -1).astype(float))
    model = LogisticRegression(C=1e-3, max_iter=300)
    score = cross_val_predict(model, flat, label, cv=4, method="predict_proba")[:, 1]
    return roc_auc_score(label, score)


def pixels_of(cohort, contract=SMALL):
    return np.stack([cohort.load(image, contract) for image in cohort.table["image"]])


def test_the_same_settings_give_the_same_cohort():
    one, two = read_cohort(phantom()), read_cohort(phantom())
    pd.testing.assert_frame_equal(one.table, two.table)
    assert one.fingerprint == two.fingerprint
    # drawn in another order, and again: an image depends on its own name only
    backwards = [two.load(image, SMALL) for image in one.table["image"][::-1]][::-1]
    np.testing.assert_array_equal(pixels_of(one), np.stack(backwards))


def test_another_seed_or_setting_is_another_cohort():
    changes = [{}, {"seed": 2}, {"contrast": 0.5}, {"effects": {"sex": 3}}, {"size": 40}]
    prints = {read_cohort(phantom(**change)).fingerprint for change in changes}
    assert len(prints) == 5


def test_more_patients_leave_the_first_ones_as_they_are():
    few, scenes_few = generated(patients=10)
    many, scenes_many = generated(patients=15)
    pd.testing.assert_frame_equal(few, many.iloc[: len(few)])
    assert scenes_few == scenes_many[: len(few)]


def test_images_of_a_patient_share_the_patient():
    truth, _ = generated(patients=60, images=4, label_noise=0.2)
    per_patient = truth.groupby("patient")
    for column in ("true_form", "recorded_lesion", *CATEGORIES):
        assert (per_patient[column].nunique() == 1).all()
    assert per_patient.size().mean() == pytest.approx(4, abs=0.7)
    assert per_patient.size().min() >= 1


def test_each_image_may_have_its_own_scanner():
    truth, _ = generated(patients=60, images=4, scanner_of="image")
    assert truth.groupby("patient")["scanner"].nunique().max() > 1


@pytest.mark.parametrize("attribute", CATEGORIES)
@pytest.mark.parametrize("strength", [0, 0.3, 1])
def test_strength_is_the_difference_between_the_halves(attribute, strength):
    made = PhantomSettings(correlated=attribute, strength=strength)
    with_, without = (np.array(shares(made, attribute, lesion)) for lesion in (True, False))
    assert with_.sum() == pytest.approx(1)
    assert without.sum() == pytest.approx(1)
    upper = np.arange(len(with_)) >= (len(with_) + 1) // 2
    assert with_[upper].sum() - without[upper].sum() == pytest.approx(strength)
    np.testing.assert_allclose(with_, without[::-1])


def test_strength_is_phi_at_even_prevalence():
    truth, _ = generated(patients=3000, images=1, correlated="scanner", strength=0.8)
    upper = truth["scanner"].isin(["C", "D"])
    assert np.corrcoef(upper, truth["true_lesion"])[0, 1] == pytest.approx(0.8, abs=0.04)
    # nothing else is tied to the lesion
    for other in ("sex", "skin_tone"):
        rate = truth.groupby(other)["true_lesion"].mean()
        assert rate.max() - rate.min() < 0.1


def test_noise_prevalence_and_missing_values_are_those_asked_for():
    truth, _ = generated(
        patients=3000, images=1, prevalence=0.3, label_noise=0.1, missing={"sex": 0.2}
    )
    wrong = (truth["recorded_lesion"] == "present") != truth["true_lesion"]
    assert truth["true_lesion"].mean() == pytest.approx(0.3, abs=0.03)
    assert wrong.mean() == pytest.approx(0.1, abs=0.02)
    assert (truth["recorded_sex"] == "").mean() == pytest.approx(0.2, abs=0.03)
    assert (truth["recorded_age"] != "").all()
    # the recorded form never contradicts the recorded lesion
    absent = truth["recorded_lesion"] == "absent"
    assert ((truth["recorded_form"] == "none") == absent).all()


def test_a_lesion_darkens_by_the_density_that_the_truth_states():
    """Two phantoms that differ in nothing but the contrast: their ratio is the lesion."""
    source = {"patients": 40, "images": 1, "effects": {"scanner": 0, "sex": 0}}
    _, faint = generated(contrast=0, **source)
    truth, dark = generated(contrast=0.4, **source)
    ratios = []
    for (_, row), without, with_ in zip(truth.iterrows(), faint, dark, strict=True):
        if row["true_form"] != "smooth":
            continue
        x, y = int(row["lesion_x_px"] / 2), int(row["lesion_y_px"] / 2)
        region = np.s_[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3, 1]
        before, after = draw(without, 48)[region].mean(), draw(with_, 48)[region].mean()
        ratios.append(np.log(before / after) / row["lesion_density"])
    assert np.mean(ratios) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("attribute", "column"),
    [("skin_tone", "skin_density"), ("age", "wrinkle_density"), ("sex", "hairs")],
)
def test_each_effect_is_stated_and_can_be_switched_off(attribute, column):
    on, _ = generated(patients=200, images=1)
    off, _ = generated(patients=200, images=1, effects={attribute: 0})
    order = CATEGORIES[attribute][-1] if attribute != "age" else None

    def gap(truth):
        last = truth[attribute] == order if order else truth["age"] >= 60
        first = truth[attribute] == CATEGORIES[attribute][0] if order else truth["age"] < 40
        return truth.loc[last, column].mean() - truth.loc[first, column].mean()

    assert gap(on) > 3 * abs(gap(off))


def test_without_their_effect_scanners_are_all_alike():
    truth, _ = generated(patients=40, effects={"scanner": 0})
    assert (truth[["cast_red_grey", "vignette_share", "blur_px"]] == 0).all(axis=None)
    assert (truth["marker"] == "none").all()


def test_the_scanner_is_easy_and_the_lesion_is_not():
    cohort = read_cohort(
        phantom(patients=500, images=1, size=48, correlated=None, strength=0, missing={})
    )
    pixels, table = pixels_of(cohort), cohort.table
    for pair in pairwise("ABCD"):
        rows = table["scanner"].isin(pair).to_numpy()
        assert lesion_auroc(pixels[rows], (table["scanner"] == pair[0])[rows]) > 0.99
    assert 0.6 < lesion_auroc(pixels, table["label"]) < 0.88


@pytest.mark.parametrize("form", ["none", "smooth", "irregular"])
def test_images_are_photographs_not_constants(form):
    truth, scenes = generated(patients=40, images=1)
    scene = scenes[list(truth["true_form"]).index(form)]
    for size in (16, 64, 97):
        image = draw(scene, size)
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert 3 < image.std() < 90


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**63 - 1),
    st.floats(0, 2),
    st.floats(0, 0.6),
    st.floats(0, 2),
    st.integers(16, 40),
)
def test_any_settings_can_be_drawn(seed, contrast, tone, scanner, size):
    effects = {"skin_tone": tone, "scanner": scanner}
    _, scenes = generated(patients=2, seed=seed, contrast=contrast, effects=effects, size=size)
    assert draw(scenes[0], size).shape == (size, size, 3)


def test_written_files_read_back_as_the_same_cohort(tmp_path):
    made = phantom(missing={"sex": 0.3, "age": 0.3}, label_noise=0.2)
    steps = []
    write_phantom(made, tmp_path / "out", lambda done, total: steps.append((done, total)))
    drawn = read_cohort(made)
    written = read_cohort(CohortSchema.load(tmp_path / "out" / "cohort.toml"), tmp_path / "out")
    pd.testing.assert_frame_equal(drawn.table, written.table)
    for contract in (SMALL, InputContract(size=20, channels=1)):
        np.testing.assert_array_equal(pixels_of(drawn, contract), pixels_of(written, contract))
    assert steps == [(i + 1, len(drawn.table)) for i in range(len(drawn.table))]
    again = read_cohort(CohortSchema.load(tmp_path / "out" / "phantom.toml"))
    pd.testing.assert_frame_equal(drawn.table, again.table)
    truth = pd.read_csv(tmp_path / "out" / "truth.csv", keep_default_na=False)
    assert list(truth["image_id"]) == list(drawn.table.index)
    assert {"true_lesion", "true_form", "lesion_density", "blur_px"} <= set(truth.columns)
    assert (truth["sex"] != "").all()


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="it exists and is not empty"):
        write_phantom(phantom(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_an_interruption_leaves_nothing(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom(phantom(), tmp_path / "out", stop)
    assert list(tmp_path.iterdir()) == []


def test_only_a_phantom_can_be_written(tmp_path):
    images = CohortSchema.load(Path(__file__).parents[3] / "cohorts" / "ham10000.toml")
    with pytest.raises(InputError, match="its format is images"):
        write_phantom(images, tmp_path / "out")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"correlated": "scaner"}, "Did you mean 'scanner'?"),
        ({"missing": {"race": 0.1}}, "no attribute is called 'race'"),
        ({"strength": 0.5}, "strength needs 'correlated'"),
        ({"strength": 1.5, "correlated": "sex"}, "'strength' is 1.5"),
        ({"prevalence": 1}, "'prevalence' is 1"),
        ({"patients": 1}, "'patients' is 1"),
        ({"effects": {"hair": 1}}, "unknown key 'effects.hair'"),
    ],
)
def test_settings_that_cannot_be_meant(source, expected):
    with pytest.raises(InputError) as caught:
        PhantomSettings.parse(source, "test")
    assert expected in str(caught.value)


def test_a_schema_for_other_columns_is_refused():
    renamed = DEMO.model_copy(update={"patient": "patients"})
    with pytest.raises(InputError, match=r"phantom: no column 'patients'.*mean 'patient'"):
        read_cohort(renamed)


def test_form_can_be_the_label():
    classes = {"none": ["none"], "smooth": ["smooth"], "irregular": ["irregular"]}
    made = CohortSchema.parse(
        DEMO.model_dump() | {"label": {"column": "form", "classes": classes}}, "forms"
    )
    assert set(read_cohort(made).table["label"]) == {0, 1, 2}
