"""Other populations: what fails where, in words, and nothing that was not judged."""

import pytest

from evaluation.breakdown import Breakdown
from evaluation.populations import failures, level, moves, population
from evaluation.section import SECTIONS
from evaluation.stress import StressCell
from tests.evaluation.made_audit import made_audit

NAN = float("nan")


def cell(**given):
    known = {
        "metric": "auroc",
        "shift": "correlation",
        "attribute": "sex",
        "category": "female",
        "scope": "overall",
        "level": 0.0,
        "observed": 0.1,
        "group": "all",
        "value": 0.8,
        "low": 0.7,
        "high": 0.9,
        "effective": 100.0,
        "state": "adequate",
    }
    return StressCell(**known | given)


def broken(**given):
    known = {
        "clause": "AUROC overall is at least 0.7",
        "metric": "auroc",
        "shift": "correlation",
        "attribute": "sex",
        "category": "female",
        "scope": "overall",
        "side": "",
        "level": NAN,
        "observed": 0.1,
    }
    return Breakdown(**known | given)


def shown(audit):
    return str(SECTIONS.get("stress")().render(audit))


def with_cells(*cells, **given):
    return made_audit().model_copy(update={"stress": cells, "breakdowns": (), **given})


def test_a_population_is_told_in_words():
    assert population(cell(level=-0.5)) == (
        "a correlation of −0.50 between the label and sex: female"
    )
    assert population(cell(shift="prevalence", level=0.05)) == "a prevalence of 5 %"
    assert population(cell(shift="marginal", level=0.9)) == "a share of 90 % of sex: female"
    worst = cell(shift="worst case", category="", level=0.1)
    assert population(worst) == "10 % of the samples moved in the worst way by sex"
    assert level("prevalence", NAN) == "unknown"


def test_where_a_clause_fails_is_told_with_the_level_here():
    said = failures([broken(side="below", level=-0.5), broken(category="male")])
    assert said == [
        "Once the correlation of the label with a group moves: sex: female, down to −0.50, "
        "from 0.10 here (all samples).",
        "No failure was found under 1 of 2 shifts.",
    ]


def test_a_clause_that_fails_in_the_sample_is_told_once():
    found = [
        broken(side="observed", level=0.1, scope="worst group", category=name)
        for name in ("female", "male")
    ]
    assert failures(found) == ["In this sample already: worst group by sex."]


def test_what_could_not_be_judged_is_not_told_as_sound():
    found = [broken(), broken(category="male", reason="3 of 10 levels could not be judged")]
    assert failures(found) == [
        "No failure was found under any of 2 shifts; under 1 of these not every level could be "
        "judged."
    ]


def test_a_worst_case_fails_by_a_share_of_samples():
    found = [broken(shift="worst case", category="", side="above", level=0.2, observed=0.0)]
    assert failures(found) == [
        "Once so many of the samples are moved in the worst way: 20 % by sex."
    ]


def test_a_metric_moves_only_along_a_curve():
    flat = [cell(level=at, value=0.8) for at in (0.0, 0.1)]
    other = [cell(level=at, value=0.7, attribute="age") for at in (0.0, 0.1)]
    assert not moves(flat + other)
    assert moves([*flat, cell(level=0.5, value=0.6)])
    assert not moves([*flat, cell(level=0.5, value=0.6, state="insufficient")])


def test_the_worst_population_is_named_with_its_interval():
    audit = with_cells(cell(level=0.1), cell(level=-0.9, value=0.6, low=0.5, high=0.65))
    page = shown(audit)
    assert (
        "AUROC over all samples is 0.800 (0.700 to 0.900) here; at worst it would be 0.600 "
        "(0.500 to 0.650), with a correlation of −0.90 between the label and sex: female."
        in page
    )


def test_a_population_without_evidence_is_not_the_worst():
    weak = cell(level=-0.9, value=0.2, state="insufficient", effective=12.3, reason="few")
    page = shown(with_cells(cell(level=0.1), cell(level=0.5, value=0.75), weak))
    assert "at worst it would be 0.750" in page
    assert "0.20? 12" in page


def test_a_worst_group_that_cannot_be_named_is_a_dash():
    nobody = {"value": NAN, "low": NAN, "high": NAN, "effective": NAN, "group": ""}
    weak = cell(level=0.1, scope="worst group", state="insufficient", **nobody)
    page = shown(with_cells(cell(level=0.1), weak))
    assert "nan" not in page
    assert "too little evidence" in page


def test_a_lower_error_is_better():
    found = cell(metric="false_positive_rate", level=0.1, value=0.2)
    page = shown(with_cells(found, found.model_copy(update={"level": 0.5, "value": 0.4})))
    assert "at worst it would be 0.400" in page


def test_nothing_is_said_where_everything_is_undefined():
    nothing = {"value": NAN, "low": NAN, "high": NAN, "state": "undefined", "reason": "none"}
    page = shown(with_cells(cell(level=0.1, **nothing), cell(level=0.5, **nothing)))
    assert "Nothing can be said of AUROC over all samples" in page
    assert "<svg" not in page


def test_metrics_that_cannot_move_are_named():
    flat = [cell(shift="prevalence", level=at, observed=0.1) for at in (0.1, 0.5)]
    page = shown(with_cells(*flat))
    assert "AUROC: the same at every prevalence" in page


def test_the_figures_are_of_the_first_target_only_and_the_rest_is_counted():
    single, several = shown(made_audit()), shown(made_audit(findings=("effusion", "mass")))
    assert several.count("<svg") == single.count("<svg") > 2
    assert "Effusion" in several
    assert ">mass<" in several
    assert "none of" in several or "fails here already" in several


def test_an_audit_without_attributes_has_the_prevalence_alone():
    page = shown(made_audit(attributes=()))
    assert "If positive cases were rarer or more common" in page
    assert "tied to a group" not in page


def test_names_are_no_markup():
    page = shown(made_audit())
    assert "&lt;b&gt;|north" in page
    assert "<b>|" not in page


@pytest.mark.parametrize("findings", [(), ("effusion", "mass")])
def test_the_page_stays_small(findings):
    assert len(shown(made_audit(findings=findings))) < 150_000
