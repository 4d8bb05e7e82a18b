"""An outside oracle: the published subgroup results of five chest X-ray models."""

import numpy as np
import pandas as pd
import pytest

from evaluation.metric import METRICS

SEEDS = [11, 37, 45, 62, 76]


@pytest.fixture(scope="module")
def published(data):
    folder = data / "nih_preds_natmed2021"
    predictions = pd.read_csv(folder / "predictions.csv.gz")
    truth = pd.read_csv(folder / "truth_and_attributes.csv")
    return folder, predictions.merge(truth, on="image_id", suffixes=("", "_truth"))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_finding_rates_by_sex_equal_the_published_ones(published, seed):
    """Theirs count 'no finding' as positive; a false positive there is a missed disease."""
    folder, table = published
    rows = table[table["seed"] == seed]
    expected = pd.read_csv(folder / f"published_seed{seed}_FPRFNR_NF_sex.csv")
    for sex, letter in (("male", "M"), ("female", "F")):
        inside = rows[rows["sex"] == sex]
        label, decision = inside["no_finding"], inside["bi_no_finding"]
        fpr = METRICS.get("false_positive_rate")(label, decision)
        fnr = 1 - METRICS.get("true_positive_rate")(label, decision)
        assert round(fpr, 3) == expected[f"FPR_{letter}"].item()
        assert round(fnr, 3) == expected[f"FNR_{letter}"].item()


@pytest.mark.parametrize("seed", SEEDS)
def test_auroc_and_average_precision_equal_the_published_ones(published, seed):
    folder, table = published
    rows = table[table["seed"] == seed]
    expected = pd.read_csv(folder / f"published_seed{seed}_TestEval.csv")
    compared = 0
    for _, line in expected.iterrows():
        name = str(line["label"]).lower().replace(" ", "_")
        label, score = rows[name].to_numpy(), rows[f"prob_{name}"].to_numpy()
        for column, metric in (("auc", "auroc"), ("auprc", "average_precision")):
            assert METRICS.get(metric)(label, score) == pytest.approx(line[column], abs=3e-5)
            compared += 1
    assert compared == 30
    assert not np.isnan(expected[["auc", "auprc"]].to_numpy()).any()
