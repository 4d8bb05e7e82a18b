"""The findings of an audit as flat tables, for spreadsheets and for further analysis."""

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Annotated, Any, get_args, get_origin

import pandas as pd

from evaluation.audit import Audit
from evaluation.settings import Settings

# A spreadsheet would run a text that begins so, in these or in their wide forms, as a formula.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")


def tables(audit: Audit) -> dict[str, pd.DataFrame]:
    """One table for each kind of finding that there is.

    A finding is a row, but a finding that is a curve or a map is as many rows as it has points,
    numbered from 1 in the column ``point`` and with what holds of all of them repeated.
    Several names in one cell, such as the groups that could not be ranked, are joined by
    semicolons. A picture is no finding.

    Undefined is empty, numbers are written in full, and a text that a spreadsheet would take
    for a formula is led by an apostrophe.

    Returns:
        By name of the audit's field; what the provenance holds is led by ``provenance_``.

    >>> _cell(("a", "b")), _cell("=1+1"), _cell(-0.5), _cell("-0.5"), _cell("-1+1")
    ('a; b', "'=1+1", -0.5, '-0.5', "'-1+1")
    """
    found = {}
    for prefix, holder in (("", audit), ("provenance_", audit.provenance)):
        for name, value in holder:
            if (
                isinstance(value, tuple)
                and value
                and isinstance(value[0], Settings)
                and name != "pictures"
            ):
                rows = [row for each in value for row in _rows(each)]
                # As objects, since a count beside an unknown one would become a fraction.
                found[prefix + name] = pd.DataFrame(rows, dtype=object)
    return found


def _rows(finding: Settings) -> Iterator[dict[str, object]]:
    """The finding as one row, or one for each of its points."""
    whole: dict[str, object] = {}
    points: dict[str, tuple[object, ...]] = {}
    along = _has_points(type(finding))
    for name, value in finding:
        if along and isinstance(value, dict):
            points |= {str(_cell(f"{name}: {key}")): each for key, each in value.items()}
        elif along and _is_series(type(finding).model_fields[name].annotation):
            points[name] = value
        elif along and isinstance(value, tuple):
            whole |= {f"{name}_{place}": _cell(each) for place, each in enumerate(value, 1)}
        else:
            whole[name] = _cell(value)
    if not along:
        yield whole
        return
    for place, values in enumerate(zip_longest(*points.values()), 1):
        yield whole | {"point": place} | dict(zip(points, map(_cell, values), strict=True))
    if not any(points.values()):
        yield whole | {"point": None} | dict.fromkeys(points)


def _has_points(model: type[Settings]) -> bool:
    """Whether findings of this kind are series of numbers."""
    fields = model.model_fields.values()
    return any(_is_series(field.annotation, (float, int)) for field in fields)


def _is_series(annotation: Any, of: tuple[type, ...] = (float, int, str)) -> bool:
    """Whether it is a tuple of any length, of values of these types."""
    if get_origin(annotation) is not tuple or Ellipsis not in get_args(annotation):
        return False
    kind = get_args(annotation)[0]
    return (get_args(kind)[0] if get_origin(kind) is Annotated else kind) in of


def _cell(value: object) -> object:
    if isinstance(value, tuple):
        value = "; ".join(str(_cell(each)) for each in value)
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
