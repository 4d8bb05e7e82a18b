"""Figures by group: small, labelled, and without a panel where there is nothing to draw."""

import re

import numpy as np
import pytest

from evaluation.calibration import Reliability
from evaluation.figures.decision import decision, standardised
from evaluation.figures.gap_bands import gap_bands
from evaluation.figures.reliability import reliability
from tests.evaluation.made_groups import by_groups

NAN = float("nan")


def test_gap_bands_name_attributes_and_metrics():
    single = [gap for gap in by_groups().gaps if len(gap.attributes) == 1]
    shown = str(gap_bands(single, "gaps & chance"))
    assert ">sex</text>" in shown
    assert ">Sensitivity (TPR)</text>" in shown
    assert "<title>gaps &amp; chance</title>" in shown


def test_gap_bands_leave_undefined_gaps_out():
    gap = by_groups().gap("auroc", "sex")
    gone = gap.model_copy(update={"value": NAN, "null_high": NAN})
    assert len(gap_bands([gone], "t")) < len(gap_bands([gap], "t"))


def drawn(few: float) -> str:
    """Three bins, of which the middle one has these ends, NaN for too few patients."""
    ends = {"low": (0.0, few, 0.4), "high": (0.3, few, 0.9)}
    bands = {f"band_{name}": bound for name, bound in ends.items()}
    bins = {"score": (0.1, 0.4, 0.7), "observed": (0.1, 0.5, 0.6), "images": (99, 1, 99)}
    curve = Reliability(group="all", **bins, **ends, **bands)
    return str(reliability([curve], ["$all$ <b>"], "t"))


def test_reliability_draws_no_line_through_bins_of_too_few_patients():
    def line(shown: str) -> str:
        return re.findall(r'd="([^"]*)"[^>]*stroke-width:0.9', shown)[0]

    assert line(drawn(0.5)).count("L") == 2
    assert line(drawn(NAN)).count("L") == 0


def test_names_of_groups_are_text():
    assert "$all$ &lt;b&gt;" in drawn(0.5)


def test_an_empty_group_leaves_its_panel_empty():
    nothing = (NAN,) * 2
    names = ("low", "high", "band_low", "band_high", "score", "observed")
    curve = Reliability(group="x", images=(0, 0), **dict.fromkeys(names, nothing))
    assert ">x</text>" in str(reliability([curve], ["x"], "t"))


def test_decision_curves_are_cut_off_below():
    shown = str(decision(by_groups().utility, "t"))
    heights = [float(y) for y in re.findall(r"L[\d.]+ (-?[\d.]+)", shown)]
    assert max(np.abs(heights)) < 2000


@pytest.mark.parametrize("value", [NAN, 0.0])
def test_decision_curves_without_any_benefit_are_drawn(value):
    curve = by_groups().utility[0]
    flat = (value,) * len(curve.thresholds)
    names = ("net_benefit", "low", "high", "treat_all", "standardised")
    made = curve.model_copy(update=dict.fromkeys(names, flat))
    assert "<svg" in decision([made], "t")
    assert "<svg" in standardised({"sex": [made, made]}, "t")


def test_lines_of_groups_differ_in_dash_and_not_only_in_colour():
    found = [curve for curve in by_groups().utility if curve.group.startswith("sex")]
    shown = str(standardised({"sex": found}, "t"))
    assert ">female</text>" in shown
    assert ">male</text>" in shown
    assert "stroke-dasharray" in shown
