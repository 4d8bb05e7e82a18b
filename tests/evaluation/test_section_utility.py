"""Clinical utility: from which risk to which the model helps."""

import pytest

from evaluation.sections.utility import helps
from evaluation.utility import DecisionCurve
from tests.evaluation.made_groups import body, by_groups

NAN = float("nan")


def curve(benefit: tuple[float, ...], low: tuple[float, ...], treat_all: tuple[float, ...]):
    return DecisionCurve(
        group="all",
        thresholds=(0.1, 0.2, 0.3, 0.4),
        net_benefit=benefit,
        low=low,
        high=benefit,
        treat_all=treat_all,
        standardised=benefit,
        standardised_low=low,
        standardised_high=benefit,
    )


@pytest.mark.parametrize(
    ("benefit", "ranges"),
    [
        ((0.4, 0.3, 0.2, 0.1), [(0.2, 0.4)]),
        ((0.5, 0.1, 0.2, -0.1), [(0.1, 0.1), (0.3, 0.3)]),
        ((-0.1, -0.1, 0.0, 0.0), []),
        ((NAN, NAN, NAN, NAN), []),
    ],
)
def test_helps_where_it_beats_treating_everybody_and_nobody(benefit, ranges):
    lowered = tuple(value - 1 for value in benefit)
    made = curve(benefit, lowered, (0.4, 0.2, 0.0, -0.3))
    assert helps(made) == ranges
    assert helps(made, surely=True) == []


def test_a_group_that_is_never_shown_to_be_helped_is_named():
    found = by_groups(gap=1.0, patients=60)
    never = [
        each.group
        for each in found.utility
        if each.group != "all" and not helps(each, surely=True)
    ]
    opened = body("utility", found).partition("</ul>")[0]
    assert never
    assert all(group in opened for group in never)


def test_the_common_prevalence_has_a_figure_and_words():
    shown = body("utility", by_groups())
    assert "at the prevalence of all samples" in " ".join(shown.split())
    assert shown.count("<svg") == 2
