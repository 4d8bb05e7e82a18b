"""Promises that every section of the report keeps, for every kind of audit."""

import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from evaluation.about import About
from evaluation.audit import Audit, audit
from evaluation.groups import Attribute
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.report import render
from evaluation.section import SECTIONS
from evaluation.shareable import shareable
from evaluation.spec import AuditSpec
from tests.conftest import made_predictions
from tests.evaluation.made_audit import made_audit
from tests.evaluation.made_counterfactuals import made_counterfactuals

HOSTILE = "<script>alert('$5 & more')</script>"
VOID = {"meta", "br", "link", "img", "input", "hr"}
ALWAYS = {"verdict", "identity", "cohort", "provenance", "overall", "limits"}


def audited(table: pd.DataFrame, attributes=("sex",), policy=None, about=None, **spec) -> Audit:
    predictions = Predictions.from_table(
        table, list(attributes), source=spec.pop("source", "t")
    )
    spec = AuditSpec(attributes=tuple(Attribute(name=n) for n in attributes), draws=100, **spec)
    return audit(predictions, spec, policy, about=about)


def multiclass() -> Audit:
    table = made_predictions(patients=120)
    generator = np.random.default_rng(0)
    names = np.array(["benign", "malignant", "other"])
    label = generator.integers(0, 3, len(table))
    score = generator.random((len(table), 3))
    score[np.arange(len(table)), label] += 0.5
    score /= score.sum(axis=1, keepdims=True)
    columns = {f"score_{name}": score[:, k] for k, name in enumerate(names)}
    table = table.drop(columns="score").assign(label=names[label], **columns)
    return audited(table, metrics=("auroc", "accuracy", "quadratic_kappa"))


def exchanged() -> Audit:
    """Styles were exchanged: some groups are small, and a name is hostile."""
    table = made_predictions(patients=120)
    table["sex"] = table["sex"].replace({"male": HOSTILE})
    table.loc[table["patient"].isin(["p0", "p1", "p2"]), "sex"] = "other"
    predictions = Predictions.from_table(table, ["sex"])
    spec = AuditSpec(attributes=(Attribute(name="sex"),), draws=100, threshold=0.5)
    swaps = made_counterfactuals(table, across=0.1, noise=0.05)
    return audit(predictions, spec, counterfactuals=swaps)


def undefined() -> Audit:
    """One class, two patients: nothing has a value or an interval."""
    return audited(made_predictions(patients=2).assign(label=1))


def hostile() -> Audit:
    """Markup, formulas, fifty categories, long names, and thresholds of test rows."""
    table = made_predictions(patients=250)
    table["sex"] = table["sex"].replace({"male": HOSTILE, "female": "_" + "long" * 60})
    table[HOSTILE] = [f"{HOSTILE}{i % 50}" for i in range(len(table))]
    clause = {"quantity": "worst group", "metric": "auroc", "minimum": 0.5}
    policy = Policy.parse({"name": HOSTILE, "description": HOSTILE, "clause": [clause]}, "p")
    about = About(name=HOSTILE, intended_use=HOSTILE)
    chosen = {"metrics": ("auroc", "accuracy"), "threshold_rows": "test"}
    return audited(table, ("sex", HOSTILE), policy, about, source=HOSTILE, **chosen)


AUDITS = {
    "binary": made_audit,
    "multilabel": lambda: made_audit(("mass", "nodule")),
    "multiclass": multiclass,
    "without attributes": lambda: made_audit(attributes=()),
    "exchanged": exchanged,
    "undefined": undefined,
    "hostile": hostile,
    "shared": lambda: shareable(made_audit(small=4)),
}


@cache
def an_audit(kind: str) -> Audit:
    return AUDITS[kind]()


@cache
def a_body(name: str, kind: str) -> str | None:
    """The section as it is in the page, without its title."""
    anchor = SECTIONS.get(name).__name__.lower()
    found = re.search(rf'<section id="{anchor}".*?</h2>\s*(.*?)</section>', a_page(kind), re.S)
    return found[1] if found else None


@cache
def a_page(kind: str) -> str:
    return render(an_audit(kind))


class Nesting(HTMLParser):
    """Checks that elements close where they should, and keeps what a reader can come upon."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.headings: list[int] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "iframe", "object", "embed")
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [v for name, v in attrs if name in ("href", "src", "xlink:href")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


every_kind = pytest.mark.parametrize("kind", list(AUDITS))
every_section = pytest.mark.parametrize("name", SECTIONS.names())


@every_section
def test_has_a_title_and_a_place(name):
    section = SECTIONS.get(name)
    assert section.title
    assert section.__doc__


def test_titles_places_and_anchors_differ():
    sections = [SECTIONS.get(name) for name in SECTIONS.names()]
    for names in (
        [each.place for each in sections],
        [each.title for each in sections],
        [each.__name__.lower() for each in sections],
    ):
        assert len(set(names)) == len(names)


@every_kind
@every_section
def test_renders_or_does_not_apply(name, kind):
    body = a_body(name, kind)
    if body is None:
        assert name not in ALWAYS
        return
    found = Nesting(body)
    text = " ".join(found.words)
    assert text.strip()
    wrong = re.search(r"\b(nan|inf|None|Markup)\b|\{\w*\}|%s", text)
    assert not wrong, text[max(wrong.start() - 100, 0) : wrong.end() + 100]
    # The title of a section is an h2, and what is in it goes down one step at a time.
    levels = [2, *found.headings]
    assert min([*found.headings, 3]) == 3
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels


@every_section
def test_begins_with_a_sentence_for_the_reader(name):
    body = a_body(name, "binary")
    assert body is None or body.startswith("<p")


@every_kind
def test_the_page_is_whole_and_needs_nothing_else(kind):
    page = a_page(kind)
    found = Nesting(page)
    assert len(page) < 1_000_000
    assert all(link.startswith(("#", "data:image/png")) for link in found.links)
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
    assert len(set(found.ids)) == len(found.ids)
    assert found.headings.count(1) == 1
    assert not re.search(r"url\((?!#)|@import|https?://", page)


@pytest.mark.parametrize("kind", ["multilabel", "shared"])
def test_the_same_audit_gives_the_same_page(kind):
    assert render(Audit.from_json(an_audit(kind).to_json())) == a_page(kind)


def test_names_from_outside_are_text():
    assert "<script" not in a_page("hostile")
    assert "&lt;script&gt;" in a_page("hostile")


def test_only_thresholds_of_test_rows_leave_a_watermark():
    mark = 'class="watermark"'
    assert mark in a_page("hostile")
    assert mark not in a_page("binary")


@pytest.mark.slow
def test_fifteen_findings_and_three_attributes_stay_below_a_megabyte():
    table = made_predictions(patients=400)
    generator = np.random.default_rng(0)
    table["site"] = generator.choice(["north", "south", "west"], len(table))
    table["age"] = pd.cut(table["age"], [0, 30, 45, 60, 75, 99]).astype(str)
    for k in range(15):
        noise = generator.uniform(-0.2, 0.2, len(table))
        table[f"label_finding_{k}"] = table["label"]
        table[f"score_finding_{k}"] = (table["score"] + noise).clip(0, 1)
    table = table.drop(columns=["label", "score"])
    found = audited(table, ("sex", "age", "site"), Policy.find("screening"))
    assert len(render(found)) < 1_000_000
