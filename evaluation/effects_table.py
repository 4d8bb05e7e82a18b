"""The counterfactual style test as a table for the terminal."""

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from evaluation.audit import Audit
from evaluation.counterfactual import ALL, StyleEffect
from evaluation.reconstruction import Reconstruction
from evaluation.section import number, spoken


def effects_summary(audit: Audit) -> Group:
    """Share of decisions that flip over all images, and what the guard does not trust."""
    lines = Table(box=SIMPLE_HEAD, title="Decisions that flip", title_justify="left")
    heads = ("Classifier", "Attribute", "Other group", "Own group", "Difference", "State")
    for head in heads:
        lines.add_column(head)
    for found in audit.counterfactuals:
        if found.group == ALL and found.measure == "flip_rate":
            cells = (_name(found), found.attribute, *_numbers(found), found.state)
            lines.add_row(*map(escape, cells))
    return Group(lines, *map(escape, _distrusted(audit)))


def _numbers(found: StyleEffect) -> tuple[str, str, str]:
    across = _ends(found.value, found.low, found.high)
    beyond = _ends(found.excess, found.excess_low, found.excess_high)
    return across, number(found.control), beyond


def _ends(value: float, low: float, high: float) -> str:
    ends = "" if np.isnan([low, high]).any() else f" [{number(low)}, {number(high)}]"
    return number(value) + ends


def _distrusted(audit: Audit) -> list[str]:
    """What the guard says of each classifier and target that it does not trust."""
    return [
        f"{_name(found)}: {found.reason}."
        for found in audit.reconstructions
        if found.group == ALL and not found.trusted
    ]


def _name(found: StyleEffect | Reconstruction) -> str:
    if not found.target:
        return found.classifier
    return f"{found.classifier}, {spoken(found.target)}"
