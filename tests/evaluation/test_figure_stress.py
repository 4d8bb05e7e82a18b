"""Curves of the stress matrix, maps, and other figures of one kind each: what is drawn."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from evaluation.figures.changes import changes_plot
from evaluation.figures.latent_map import MOST_POINTS, map_plots
from evaluation.figures.leakage import leakage_plot
from evaluation.figures.stress import Line, Panel, Row, stress_curves
from evaluation.latent_map import LatentMap
from tests.evaluation.test_section_changes import change
from tests.evaluation.test_section_leakage import leak
from tests.evaluation.test_section_stress import cell

NAN = float("nan")
BLUE, GREY = "#0072b2", "#6b7280"


def curve(**given):
    return [
        cell(level=at, observed=0.0, value=0.8 + at / 10, **given) for at in (-0.5, 0.0, 0.5)
    ]


def marks(svg, colour):
    """How many marks have a colour as their edge, be it said by them, their symbol or group."""
    root = ElementTree.fromstring(svg[svg.index("<svg") : svg.index("</svg>") + 6])
    symbols = {f"#{each.get('id')}": each.get("style", "") for each in root.iter("path")}
    found = 0
    for parent in root.iter():
        for use in parent.findall("use"):
            styles = (use.get("style"), parent.get("style"), symbols[use.get("href")])
            found += f"stroke:{colour}" in next(filter(None, styles))
    return found


def test_adequate_cells_are_a_line_with_the_sample_marked():
    svg = stress_curves([Row("sex", [Panel("AUROC", [Line("all", curve())])])], "t")
    assert "fill-opacity:0.15" in svg
    # One in the legend, one of the sample itself.
    assert marks(svg, BLUE) == 2


def test_cells_without_evidence_are_hollow_and_undefined_ones_absent():
    weak = curve(state="insufficient")
    absent = curve(state="undefined")
    panels = [Panel("AUROC", [Line("weak", weak), Line("absent", absent)])]
    svg = stress_curves([Row("", panels)], "t")
    assert marks(svg, GREY) == 3
    assert "fill:#ffffff" in svg
    assert "fill-opacity" not in svg


def test_a_bound_far_from_the_curves_does_not_squeeze_them():
    def with_bound(bound):
        return stress_curves([Row("", [Panel("AUROC", [Line("all", curve())], [bound])])], "t")

    assert with_bound(0.1) == stress_curves(
        [Row("", [Panel("AUROC", [Line("all", curve())])])], "t"
    )
    assert with_bound(0.7) != with_bound(0.1)


def test_curves_are_told_apart_by_dashes_and_marks():
    lines = [Line(f"group {i}", curve()) for i in range(3)]
    svg = stress_curves([Row("", [Panel("AUROC", lines)])], "t")
    assert len(set(re.findall(r"stroke-dasharray:[^;\"]*", svg))) >= 2


def test_a_figure_of_nothing_but_undefined_probes_is_drawn():
    nothing = leak(auroc=NAN, low=NAN, high=NAN, chance_high=NAN, reason="few")
    assert "sex" in leakage_plot([nothing], "t")


def test_chance_is_a_grey_tick_beside_each_probe():
    svg = leakage_plot([leak(), leak(latent="style"), leak(latent="pixels")], "t")
    assert marks(svg, GREY) == 3


@pytest.mark.parametrize("conclusion", ["non-inferior", "undecided", "inferior"])
def test_each_conclusion_has_a_mark_of_its_own(conclusion):
    groups, found = ["all", "sex: $5"], [[change(conclusion=conclusion), change()]]
    svg = changes_plot(groups, found, 0.05, "t")
    assert "sex: $5" in svg
    assert conclusion in svg


def made_map(points=300):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, points)).tolist()
    groups = {"site": tuple(f"site {i % 9}" for i in range(points))}
    return LatentMap(
        latent="content", x=tuple(x), y=tuple(y), explained=(0.5, 0.2), groups=groups
    )


def test_a_map_is_thinned_and_groups_beyond_the_marks_share_one():
    svg = map_plots([made_map()], "site", [f"site {i}" for i in range(9)], "t")
    assert "site 5 and others" in svg
    assert "site 6" not in svg
    assert len(svg) < 100 * MOST_POINTS


def test_a_map_of_equal_points_is_drawn():
    same = LatentMap(
        latent="content", x=(1.0, 1.0), y=(0.0, 0.0), explained=(1.0, 0.0), label=("0", "")
    )
    svg = map_plots([same], "label", ["0"], "t")
    assert "unknown" in svg
    assert "nan%" not in svg
