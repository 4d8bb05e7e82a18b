"""The report of a cohort as a page for people."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from service.storage.tables import Cohort

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1f2937; --soft: #4b5563; --line: #d1d5db;
        --paper: #fff; --bar: #0072b2; --warning: #b45309; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e5e7eb; --soft: #9ca3af; --line: #4b5563; --paper: #111827;
          --bar: #56b4e9; --warning: #f59e0b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 56rem; color: var(--ink);
       background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
header { border-bottom: 2px solid var(--ink); padding-bottom: .5rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; max-width: 46rem; overflow-wrap: break-word; }
.soft { color: var(--soft); font-size: .9rem; }
dl { display: flex; flex-wrap: wrap; gap: .6rem 2.5rem; margin: 1rem 0; }
dl div { display: flex; flex-direction: column-reverse; }
dt { color: var(--soft); font-size: .9rem; } dd { margin: 0; font-size: 1.5rem; }
dd, td { font-variant-numeric: tabular-nums; }
.warning { border-left: 4px solid var(--warning); padding: .2rem .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .35rem 0 .35rem 1.6rem; text-align: right; vertical-align: top;
         border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; }
tbody th { font-weight: 600; min-width: 6rem; max-width: 24rem; overflow-wrap: break-word; }
th:first-child { padding-left: 0; text-align: left; }
th.share, td.share { min-width: 9rem; text-align: left; white-space: nowrap; }
.share span { display: inline-block; height: .7rem; margin-right: .4rem; min-width: 1px;
              background: var(--bar); }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .5rem; }
@media (max-width: 40rem) {
  body { padding: 1rem; }
  table { font-size: .8rem; }
  th, td { padding-left: .5rem; }
  thead th { font-size: .72rem; }
  tbody th { min-width: 4rem; }
  .share { display: none; }
}
@media print { body { max-width: none; padding: 0; } tr { break-inside: avoid; } }
"""

#: Width of a whole bar, in rem.
WHOLE: Final = 5

#: Title of a column with bars, which a narrow page has no room for.
SHARE: Final = "Share"


def cohort_page(row: Cohort) -> str:
    """HTML that loads nothing."""
    parts = [
        _head(row),
        _warnings(row.report["warnings"]),
        _classes(row.report),
        *_attributes(row.report),
        _left_out(row.report["left_out_for"]),
        _images(row.report),
        _notes(row.report["notes"]),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(row.id)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )


def _head(row: Cohort) -> str:
    facts = {
        "samples": row.report["samples"],
        "patients": row.report["patients"],
        "rows left out": row.report["left_out"],
    }
    if "passed_over" in row.report:
        facts["files that are no images"] = row.report["passed_over"]
    shown = "".join(f"<div><dt>{dt}</dt><dd>{dd:,}</dd></div>" for dt, dd in facts.items())
    kept = "Registered" if row.source is not None else "Kept"
    when = f"{kept} on {row.created:%Y-%m-%d} at {row.created:%H:%M} UTC by {row.who}."
    return (
        f"<header><h1>{escape(row.id)}</h1><p>{escape(row.schema.get('title') or '')}</p>"
        f'<p class="soft">{escape(when)}</p></header><dl>{shown}</dl>'
    )


def _warnings(warnings: Sequence[str]) -> str:
    lines = "".join(f'<p class="warning">{escape(text)}</p>' for text in warnings)
    return f"<h2>Look at these</h2>{lines}" if warnings else ""


def _classes(report: Mapping[str, Any]) -> str:
    rows = [
        (name, each["samples"], _share(each["samples"], report["samples"]), each["patients"])
        for name, each in report["classes"].items()
    ]
    return _section("Classes", _table(("Class", "Samples", SHARE, "Patients"), rows))


def _attributes(report: Mapping[str, Any]) -> Iterable[str]:
    classes = list(report["classes"])
    head = ("Group", "Samples", SHARE, "Patients", *(f"Samples, {c}" for c in classes))
    for name, found in report["attributes"].items():
        rows: list[Sequence[Any]] = [
            (
                group,
                each["samples"],
                _share(each["samples"], report["samples"]),
                each["patients"],
                *(each["classes"][c] for c in classes),
            )
            for group, each in found["groups"].items()
        ]
        if found["missing"]:
            share = _share(found["missing"], report["samples"])
            rows.append(("missing", found["missing"], share, *("" for _ in (0, *classes))))
        yield _section(name, _table(head, rows))


def _left_out(reasons: Sequence[Mapping[str, Any]]) -> str:
    rows = [(each["reason"], each["rows"], each["first"]) for each in reasons]
    table = _table(("Reason", "Rows", "First in row"), rows)
    return _section("Rows left out", table) if rows else ""


def _images(report: Mapping[str, Any]) -> str:
    """What images that were uploaded are; nothing for those that stay where they are."""
    if "formats" not in report:
        return ""
    sizes = list(report["sizes"].items())
    more, twice = report["more_sizes"], report["duplicates"]
    equal = (
        f"{twice['images']:,} images have the pixels of another one; "
        f"{twice['patients']:,} sets of equal images are of several patients, "
        f"{twice['labels']:,} of several classes."
    )
    return (
        _section("Formats", _table(("Format", "Images"), report["formats"].items()))
        + _section("Sizes", _table(("Width x height", "Images"), sizes))
        + (f'<p class="soft">There are {more:,} more sizes.</p>' if more else "")
        + _section("Equal images", f"<p>{equal}</p>")
    )


def _notes(notes: Sequence[str]) -> str:
    return f"<footer>{''.join(f'<p>{escape(note)}</p>' for note in notes)}</footer>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    titles = "".join(map(_title, head))
    lines = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>{"".join(map(_cell, values))}</tr>'
        for first, *values in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{titles}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _title(name: str) -> str:
    kind = ' class="share"' if name == SHARE else ""
    return f'<th scope="col"{kind}>{escape(name)}</th>'


class _Share(float):
    """A part of all, in [0, 1]."""


def _share(part: int, whole: int) -> _Share:
    return _Share(part / whole if whole else 0.0)


def _cell(value: object) -> str:
    if isinstance(value, _Share):
        bar = f'<span style="width:{WHOLE * value:.2f}rem"></span>'
        return f'<td class="share">{bar}{value:.1%}</td>'
    text = f"{value:,}" if isinstance(value, int) else escape(str(value))
    return f"<td>{text}</td>"
