"""Calibration: which way scores are wrong, beyond the band of the whole curve."""

import pytest

from evaluation.calibration import Reliability
from evaluation.sections.calibration import misplaced
from tests.evaluation.made_groups import body, by_groups

NAN = float("nan")


def curve(score: tuple[float, ...], low: tuple[float, ...], high: tuple[float, ...]):
    bins = {"low": low, "high": high, "band_low": low, "band_high": high}
    return Reliability(group="all", score=score, observed=low, images=(9,) * len(score), **bins)


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [
        ((0.1, 0.5), (0.3, 0.7), ""),
        ((0.1, 0.3), (0.3, 0.5), "over"),
        ((0.3, 0.5), (0.5, 0.7), "under"),
        ((0.3, 0.3), (0.5, 0.5), "both"),
        ((NAN, 0.5), (NAN, 0.7), ""),
        ((NAN, NAN), (NAN, NAN), ""),
    ],
)
def test_scores_are_wrong_where_the_band_leaves_them_out(low, high, side):
    assert misplaced(curve((0.2, 0.6), low, high)) == side


def test_groups_with_wrong_scores_are_named():
    found = by_groups()
    wrong = {each.group for each in found.reliability if misplaced(each)}
    opened = body("calibration", found).partition("</ul>")[0]
    assert "sex: male" in wrong
    assert all(group == "all" or group in opened for group in wrong)
    assert "sex: female" not in wrong | {opened}


def test_the_parts_of_the_brier_score_stand_beside_the_slope():
    found = by_groups()
    part = next(
        each for each in found.brier if (each.group, each.part) == ("sex: male", "reliability")
    )
    shown = body("calibration", found)
    assert "Calibration slope" in shown
    assert f"<td>{part.value:.3f} <small>{part.low:.3f} to" in shown


def test_several_findings_share_one_figure_of_all_samples():
    shown = body("calibration", by_groups(("mass", "no_finding")))
    assert "Reliability of all samples, one panel a target" in shown
    assert shown.count("<svg") == 2
