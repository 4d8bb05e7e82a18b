"""The report of a cohort as a page for people."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from service.tables import Cohort

STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
.warning { border-left: 4px solid #b45309; padding: .2rem .8rem; margin: .4rem 0; }
div.wide { overflow-x: auto; }
"""


def cohort_page(row: Cohort) -> str:
    """HTML that loads nothing."""
    report = row.report
    classes = list(report["classes"])
    facts = [
        ("Samples", report["samples"]),
        ("Patients", report["patients"]),
        ("Rows left out by the schema", report["left_out"]),
    ]
    facts += [(f"Class {name}", each["samples"]) for name, each in report["classes"].items()]
    parts = [f"<h1>{escape(row.id)}</h1>", f"<p>{escape(row.schema.get('title') or '')}</p>"]
    parts.append(_table(("", "Count"), facts))
    if report["warnings"]:
        parts.append("<h2>Look at these</h2>")
        parts += [f'<p class="warning">{escape(text)}</p>' for text in report["warnings"]]
    for name, found in report["attributes"].items():
        parts.append(f"<h2>{escape(name)}</h2>")
        parts.append(_groups(found, classes))
    if "formats" in report:
        parts.append("<h2>Images</h2>")
        parts.append(_table(("Format", "Images"), report["formats"].items()))
        sizes = list(report["sizes"].items())
        if report["more_sizes"]:
            sizes.append((f"{report['more_sizes']:,} more sizes", ""))
        parts.append(_table(("Width x height", "Images"), sizes))
        twice = report["duplicates"]
        parts.append(
            f"<p>{twice['images']:,} images have the pixels of another one; "
            f"{twice['patients']:,} sets of equal images are of several patients, "
            f"{twice['labels']:,} of several classes.</p>"
        )
    parts += [f"<p>{escape(note)}</p>" for note in report["notes"]]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(row.id)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )


def _groups(found: Mapping[str, Any], classes: Sequence[str]) -> str:
    rows = [
        (group, each["samples"], each["patients"], *(each["classes"][c] for c in classes))
        for group, each in found["groups"].items()
    ]
    rows.append(("missing", found["missing"], "", *("" for _ in classes)))
    return _table(("Group", "Samples", "Patients", *classes), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{_cell(v)}</td>" for v in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{titles}</tr>{lines}</table></div>'


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else escape(str(value))
