"""Against the champion: conclusions in words, and fairness that was bought with harm."""

import re

import numpy as np
import pytest

from evaluation.audit import audit
from evaluation.compare import Champion
from evaluation.findings import Change, LevellingDown
from evaluation.groups import Attribute
from evaluation.predictions import Predictions
from evaluation.section import SECTIONS
from evaluation.spec import AuditSpec
from evaluation.threshold import Threshold
from tests.evaluation.made_audit import made_audit, made_table

NAN = float("nan")


def compared(findings=()):
    """The audited model has lost its signal for men."""
    table = made_table(findings)
    worse = table.copy()
    scores = [name for name in table if name.startswith("score")]
    male = (table["sex"] == "male").to_numpy()
    noise = np.random.default_rng(0).uniform(size=len(table))
    for name in scores:
        worse[name] = np.where(male, noise, table[name])
    ours, theirs = (Predictions.from_table(each, ["sex", "site"]) for each in (worse, table))
    chosen = {"value": 0.5, "rule": "fixed", "chosen_on": "validation", "rows": 1}
    thresholds = tuple(Threshold(**chosen, target=name) for name in theirs.targets)
    attributes = tuple(Attribute(name=name) for name in ("sex", "site"))
    metrics = ("auroc", "accuracy", "true_positive_rate", "false_positive_rate", "brier_score")
    spec = AuditSpec(attributes=attributes, draws=100, metrics=metrics)
    return audit(ours, spec, champion=Champion("last year's", theirs, thresholds))


@pytest.fixture(scope="module")
def found():
    return compared()


def shown(result):
    return str(SECTIONS.get("changes")().render(result))


def change(**given):
    known = {"metric": "auroc", "group": "all", "value": 0.01, "low": -0.02, "high": 0.03}
    more = {"units": 100, "state": "adequate", "conclusion": "non-inferior"}
    return Change(**known | more | given)


def with_changes(*changes, **given):
    return made_audit().model_copy(update={"changes": changes, **given})


def test_an_audit_without_a_champion_has_no_such_section():
    assert not SECTIONS.get("changes")().applies(made_audit())


def test_the_group_that_lost_most_is_named(found):
    page = shown(found)
    assert "This model minus last year&#39;s" in page
    assert re.search(
        r"<li>AUROC over all samples: -0\.\d+ \([^)]*\), \w+; sex: male lost most", page
    )
    assert "✗ -0." in page


def test_the_margin_is_told(found):
    assert "A loss of less than 0.05 counts as none" in shown(found)


def test_every_change_is_counted(found):
    said = re.search(r"Of (\d+) changes, over all metrics and groups, ([^.]*)\.", shown(found))
    assert int(said[1]) == len(found.changes)
    assert sum(map(int, re.findall(r"\d+", said[2]))) == len(found.changes)


def test_metrics_beyond_the_figure_are_folded(found):
    before, _, after = shown(found).partition("<details>")
    assert "Brier score" not in before
    assert "Brier score" in after
    assert "2 more metrics" in after


def test_no_loss_is_told_as_none():
    page = shown(with_changes(change(), change(group="sex: male", low=-0.01)))
    assert "AUROC over all samples: 0.010 (-0.020 to 0.030), non-inferior; no group" in page


def test_an_undefined_change_is_a_dash_with_its_reason():
    nothing = {"value": NAN, "low": NAN, "high": NAN, "state": "undefined"}
    page = shown(
        with_changes(change(**nothing, conclusion="undefined", reason="only one class"))
    )
    assert "AUROC: nothing can be said, only one class." in page
    assert "nan" not in page


def levelled(**given):
    known = {"metric": "auroc", "attributes": ("sex",), "before": 0.1, "after": 0.02}
    more = {"low": -0.12, "high": -0.03, "lost": ("sex: female",), "levelled": True}
    return LevellingDown(**known | more | given)


def test_levelling_down_is_told_in_words():
    page = shown(with_changes(change(), levelling=(levelled(),)))
    assert (
        "The gap in AUROC by sex narrowed from 0.100 to 0.020 while sex: female lost." in page
    )


def test_a_gap_that_closed_without_loss_is_no_levelling_down():
    page = shown(with_changes(change(), levelling=(levelled(lost=(), levelled=False),)))
    assert "None of 1 gaps narrowed while a group" in page


def test_gaps_that_cannot_be_compared_are_not_sound():
    unknown = levelled(before=NAN, after=NAN, low=NAN, high=NAN, lost=(), levelled=False)
    page = shown(with_changes(change(), levelling=(unknown,)))
    assert "No gap could be compared" in page


def test_several_targets_have_a_line_each_and_one_figure():
    page = shown(compared(("effusion", "mass")))
    assert page.count("<svg") == 1
    for name in ("mean of all", "effusion", "mass"):
        assert f'scope="row">{name}<' in page
