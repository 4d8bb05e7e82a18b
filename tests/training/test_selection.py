"""What an epoch is judged by."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from evaluation.errors import InputError
from evaluation.metric import METRICS
from training.selection import AUROC, EpochSelection, criterion, macro, rank

GENERATOR = np.random.default_rng(0)
LABEL, GROUP = GENERATOR.integers(0, 2, 90), GENERATOR.integers(-1, 2, 90)
SCORE = GENERATOR.random(90)
PROBABILITY = np.stack([1 - SCORE, SCORE], axis=1)


def chosen(**settings):
    return EpochSelection.parse(settings, "selection")


def each(metric):
    return [
        METRICS.get(metric)(LABEL[one == GROUP], value_of(metric)[one == GROUP])
        for one in (-1, 0, 1)
    ]


def value_of(metric):
    return SCORE if METRICS.get(metric).reads == "score" else (SCORE > 0.5).astype(float)


@pytest.mark.parametrize("metric", METRICS.names())
def test_every_metric_of_the_audit_can_choose(metric):
    overall = chosen(metric=metric).value(LABEL, PROBABILITY, None)
    assert overall == pytest.approx(METRICS.get(metric)(LABEL, value_of(metric)))
    worst = chosen(metric=metric, of="worst", attribute="a").value(LABEL, PROBABILITY, GROUP)
    gap = chosen(metric=metric, of="gap", attribute="a").value(LABEL, PROBABILITY, GROUP)
    values = np.array(each(metric))
    good = METRICS.get(metric).goodness(values)
    assert worst == pytest.approx(values[good.argmin()])
    assert gap == pytest.approx(values.max() - values.min())


@pytest.mark.parametrize(
    ("settings", "better", "worse"),
    [
        ({"metric": "auroc"}, 0.8, 0.7),
        ({"metric": "log_loss"}, 0.2, 0.3),
        ({"metric": "calibration_slope"}, 0.9, 1.3),
        ({"metric": "auroc", "of": "gap", "attribute": "a"}, 0.1, 0.2),
        ({"metric": "brier_score", "of": "worst", "attribute": "a"}, 0.1, 0.2),
    ],
)
def test_the_direction_is_that_of_the_metric(settings, better, worse):
    judged_by = chosen(**settings)
    assert rank(judged_by, 1, 0.5, better) > rank(judged_by, 2, 0.1, worse)


def test_levels_are_part_of_the_name():
    at = chosen(metric="net_benefit@0.2").value(LABEL, PROBABILITY, None)
    assert at == METRICS.get("net_benefit@0.2")(LABEL, value_of("net_benefit"))
    assert at != chosen(metric="net_benefit").value(LABEL, PROBABILITY, None)


def test_several_classes_are_averaged_one_against_the_rest():
    label = GENERATOR.integers(0, 3, 60)
    probability = GENERATOR.dirichlet(np.ones(3), 60)
    expected = roc_auc_score(label, probability, multi_class="ovr", average="macro")
    assert macro(METRICS.get("auroc"), label, probability) == pytest.approx(expected)


def test_a_metric_of_class_numbers_is_taken_as_it_is():
    label = GENERATOR.integers(0, 3, 60)
    probability = GENERATOR.dirichlet(np.ones(3), 60)
    decided = probability.argmax(axis=1)
    expected = cohen_kappa_score(label, decided, weights="quadratic")
    assert macro(METRICS.get("quadratic_kappa"), label, probability) == pytest.approx(expected)


def test_classes_that_do_not_occur_take_no_part():
    label = np.array([0, 0, 1, 1])
    probability = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1], [0.1, 0.5, 0.4]])
    # Class 0: 0.8 and 0.2 against 0.3 and 0.1; class 1: 0.6 and 0.5 against 0.1 and 0.7.
    auroc = METRICS.get("auroc")
    assert macro(auroc, label, probability) == pytest.approx((0.75 + 0.5) / 2)
    assert math.isnan(macro(auroc, label[:2], probability[:2]))
    assert math.isnan(macro(auroc, label[:2], probability[:2, :2]))


def test_groups_without_a_value_take_no_part():
    label, group = np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1])
    probability = PROBABILITY[:4]
    inside = macro(METRICS.get("auroc"), label[:2], probability[:2])
    assert chosen(of="worst", attribute="a").value(label, probability, group) == inside
    assert math.isnan(chosen(of="gap", attribute="a").value(label, probability, group))
    assert math.isnan(
        chosen(of="worst", attribute="a").value(label[1:], probability[1:], group[1:])
    )


def test_the_rank_of_epochs():
    nan = math.nan
    for better, worse in (
        (rank("last", 2, nan, nan), rank("last", 1, 0.0, 1.0)),
        (rank("loss", 2, 0.1, nan), rank("loss", 1, 0.2, nan)),
        (rank("loss", 2, 0.1, nan), rank("loss", 1, nan, nan)),
        (rank(AUROC, 1, 9.0, 0.1), rank(AUROC, 2, 0.1, nan)),
        (rank(AUROC, 1, 0.1, nan), rank(AUROC, 2, 0.2, nan)),
        (rank(AUROC, 1, 0.1, nan), rank(AUROC, 2, nan, nan)),
    ):
        assert better > worse


def stage(**values):
    return SimpleNamespace(**{"name": "s", "selection": "auroc", "logits": abs} | values)


def test_only_stages_with_a_classifier_are_judged_as_asked():
    brier = chosen(metric="brier_score")
    assert criterion(stage(), brier, 5) == brier
    assert criterion(stage(), None, 5) == AUROC
    assert criterion(stage(logits=None, selection="last"), brier, 5) == "last"
    assert criterion(stage(selection="loss"), None, 5) == "loss"


def test_without_validation_rows_the_last_epoch_is_kept(caplog):
    assert criterion(stage(), None, 0) == "last"
    assert "stage s keeps its last epoch" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "aurok"}, "auroc"),
        ({"metric": "auroc@0.2"}, "takes no level"),
        ({"of": "worst"}, "need an attribute"),
        ({"attribute": "sex"}, "overall takes none"),
    ],
)
def test_selections_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        chosen(**settings)
