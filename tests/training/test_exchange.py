"""Exchanged styles: who is whose partner, and scores that are known by thought."""

import numpy as np
import pandas as pd
import pytest

from evaluation.counterfactual import style_effects
from evaluation.counterfactual_table import Counterfactuals
from evaluation.errors import InputError
from evaluation.groups import MISSING
from evaluation.pair_means import Sampling
from evaluation.reconstruction import CounterfactualSpec
from tests.training.made_model import images, predictor, write_classifier
from training.classifier import OnnxClassifier, OwnClassifier
from training.counterfactual import Judge, counterfactuals, drawn_rows, pairs

EACH = CounterfactualSpec(partners="each")


def made_cohort(n=120, seed=0):
    """Content is bright where the label is 1, style where the site is north."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, n)
    site = np.array(["north", "south", "west"])[generator.integers(0, 3, n)]
    content = np.where(label == 1, 200, 50) + generator.integers(0, 40, n)
    style = np.where(site == "north", 200, 50) + generator.integers(0, 40, n)
    table = pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(n)],
            "patient": [f"p{i // 2}" for i in range(n)],
            "label": label,
        }
    )
    return table, pd.Categorical(site), images(content, style)


def generator():
    return np.random.default_rng(3)


def test_partners_are_of_another_patient_the_same_label_and_the_right_group():
    table, site, _ = made_cohort()
    site = pd.Categorical(np.where(np.arange(120) % 10 == 0, MISSING, site))
    found = pairs(table, {"site": site}, EACH, generator())
    mine, theirs = (table.iloc[found[name]] for name in ("row", "partner_row"))
    assert (mine["label"].to_numpy() == theirs["label"].to_numpy()).all()
    assert (mine["patient"].to_numpy() != theirs["patient"].to_numpy()).all()
    assert (np.asarray(site)[found["row"]] == found["from"]).all()
    assert (np.asarray(site)[found["partner_row"]] == found["to"]).all()
    assert MISSING not in set(found["from"]) | set(found["to"])
    assert (found.groupby("row").size() == 3).all()
    assert found["row"].nunique() == (np.asarray(site) != MISSING).sum()


def test_one_partner_of_another_group_beside_the_control():
    table, site, _ = made_cohort()
    found = pairs(table, {"site": site}, CounterfactualSpec(), generator())
    across = found["from"] != found["to"]
    assert (across.groupby(found["row"]).sum() == 1).all()
    assert ((~across).groupby(found["row"]).sum() == 1).all()
    again = pairs(table, {"site": site}, CounterfactualSpec(), generator())
    pd.testing.assert_frame_equal(found, again)


def test_there_is_no_pair_without_a_partner():
    table = pd.DataFrame({"patient": ["a", "a", "b"], "label": [0, 0, 1]})
    found = pairs(table, {"sex": pd.Categorical(["f", "m", "m"])}, EACH, generator())
    assert found.empty


def test_drawn_rows_are_those_of_whole_patients():
    patient = pd.Series([f"p{i // 3}" for i in range(60)])
    rows = drawn_rows(patient, 20, generator())
    assert len(rows) == 18
    assert (patient.iloc[rows].value_counts() == 3).all()
    assert (np.diff(rows) > 0).all()
    assert len(drawn_rows(patient, 1, generator())) == 3
    assert len(drawn_rows(patient, 1000, generator())) == 60


def scored(tmp_path, **how):
    table, site, pixels = made_cohort()
    model = predictor(tmp_path, **how)
    other = OnnxClassifier(write_classifier(tmp_path / "sees.onnx"), model.contract, 2)
    swaps = pairs(table, {"site": site}, EACH, generator())
    judges = [Judge(OwnClassifier(model), 0.5), Judge(other, 0.5)]
    return (
        counterfactuals(model, judges, lambda rows: pixels[rows], table, swaps),
        swaps,
        pixels,
    )


def test_scores_are_those_of_the_exchanged_pixels(tmp_path):
    found, swaps, pixels = scored(tmp_path)
    flat = pixels.reshape(len(pixels), -1) / 255
    row, partner = swaps["row"].to_numpy(), swaps["partner_row"].to_numpy()
    own = found[found["classifier"] == "made"]
    sees = found[found["classifier"] == "sees"]
    for name in ("score", "score_reconstructed", "score_swapped"):
        np.testing.assert_allclose(own[name], flat[row, 0], atol=1e-6)
    np.testing.assert_allclose(sees["score_reconstructed"], flat[row, 1], atol=1e-6)
    np.testing.assert_allclose(sees["score_swapped"], flat[partner, 1], atol=1e-6)
    assert (found["reconstruction_error"] == 0).all()
    assert (sees["decision_swapped"] == (flat[partner, 1] >= 0.5)).all()
    samples = [f"s{k}" for k in row]
    assert own["sample"].tolist() == samples
    assert own["partner"].tolist() == [f"s{k}" for k in partner]


def test_a_classifier_that_reads_style_flips_and_one_that_does_not_never(tmp_path):
    found, _, _ = scored(tmp_path)
    sampling = Sampling(draws=100, seed=0, confidence=0.95, minimum_patients=10)
    swaps = Counterfactuals.from_table(found)
    effects = style_effects(swaps, {}, EACH, sampling).effects
    flips = {
        (e.classifier, e.group, e.donor): e.value for e in effects if e.measure == "flip_rate"
    }
    assert {value for (name, *_), value in flips.items() if name == "made"} == {0.0}
    assert flips["sees", "site: north", "site: south"] == 1
    assert flips["sees", "site: west", "site: north"] == 1
    assert flips["sees", "site: south", "site: west"] == 0
    assert {e.state for e in effects} == {"adequate"}


def test_a_decoder_that_forgets_content_is_not_trusted(tmp_path):
    found, _, _ = scored(tmp_path, blind=0.2)
    sampling = Sampling(draws=100, seed=0, confidence=0.95, minimum_patients=10)
    guards = style_effects(Counterfactuals.from_table(found), {}, EACH, sampling)
    trusted = {e.classifier: e.trusted for e in guards.reconstructions if e.group == "all"}
    assert trusted == {"made": False, "sees": True}


def test_progress_ends_before_the_number_of_images(tmp_path):
    table, site, pixels = made_cohort(40)
    model, told = predictor(tmp_path), []
    swaps = pairs(table, {"site": site}, EACH, generator())
    counterfactuals(
        model,
        [Judge(OwnClassifier(model), 0.5)],
        lambda rows: pixels[rows],
        table,
        swaps,
        lambda done, total: told.append((done, total)),
    )
    assert told[0][0] == 0
    assert all(done < total for done, total in told)


def test_a_damaged_decoder_is_refused(tmp_path):
    model = predictor(tmp_path)
    (tmp_path / "decoder.onnx").write_text("no model")
    with pytest.raises(InputError, match="the decoder cannot be loaded"):
        model.decode(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
