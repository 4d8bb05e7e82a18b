"""The report: one page, no other file, nothing of the input taken for markup."""

import re
from html.parser import HTMLParser

import pytest

from evaluation.audit import AuditSpec, audit
from evaluation.groups import Attribute
from evaluation.policy import Clause, Policy
from evaluation.predictions import Predictions
from evaluation.report import render, summary, write
from evaluation.section import SECTIONS
from tests.conftest import made_predictions

POLICY = Policy(
    name="p",
    description="For a trial.",
    clause=(Clause(quantity="overall", metric="auroc", minimum=0.6),),
)
VOID = {"meta", "br", "link", "img", "input", "hr"}


@pytest.fixture(scope="module")
def found():
    predictions = Predictions.from_table(made_predictions(), ["sex", "age"])
    attributes = (Attribute(name="sex"), Attribute(name="age", bins=(40, 65)))
    return audit(predictions, AuditSpec(attributes=attributes, draws=100), POLICY)


class Balance(HTMLParser):
    """Checks that every element is closed where it should be."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_is_one_whole_page_that_needs_nothing_else(found):
    page = render(found)
    assert len(page) < 1_000_000
    checker = Balance()
    checker.feed(page)
    assert checker.open == []
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", page)
    assert links
    assert all(link.startswith("#") for link in links)
    assert "<script" not in page
    assert "url(http" not in page


def test_is_the_same_every_time(found):
    assert render(found) == render(found)


def test_the_verdict_comes_first(found):
    page = render(found)
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles[0] == "Verdict"
    assert titles[-1] == "Limits"
    assert "✓ PASS" in page
    assert "For a trial." in page


@pytest.mark.parametrize("name", SECTIONS.names())
def test_every_section_renders_or_does_not_apply(name, found):
    section = SECTIONS.get(name)()
    assert section.title
    if section.applies(found):
        assert str(section.render(found)).startswith("<")
    else:
        assert name in ("leakage", "changes")


def test_places_of_the_sections_differ():
    places = [SECTIONS.get(name).place for name in SECTIONS.names()]
    assert len(set(places)) == len(places)


def test_names_from_the_input_are_escaped():
    table = made_predictions()
    table["sex"] = table["sex"].replace("male", "<script>alert(1)</script>")
    predictions = Predictions.from_table(table, ["sex"], source="<b>x</b>.csv")
    result = audit(predictions, AuditSpec(attributes=(Attribute(name="sex"),), draws=100))
    page = render(result)
    assert "<script" not in page
    assert "<b>x" not in page
    assert "&lt;script&gt;" in page


def test_undefined_is_a_dash_and_never_zero():
    table = made_predictions().assign(label=1)
    predictions = Predictions.from_table(table, ["sex"])
    result = audit(predictions, AuditSpec(attributes=(Attribute(name="sex"),), draws=100))
    page = render(result)
    assert "undefined: only one class" in page
    assert "no gap" not in page


def test_writes_the_page_and_the_numbers(found, tmp_path):
    page = write(found, tmp_path / "new" / "folder")
    assert sorted(path.name for path in page.parent.iterdir()) == ["audit.json", "report.html"]
    assert (page.parent / "audit.json").read_text() == found.to_json()


def test_summary_names_verdict_and_clauses(found):
    from rich.console import Console

    console = Console(width=120, record=True, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        console.print(summary(found))
    text = captured.get()
    assert "Verdict: PASS" in text
    assert "AUROC overall is at least 0.6" in text


def test_signs_of_formulas_are_text():
    table = made_predictions()
    table["sex"] = table["sex"].replace({"male": "$a_$b", "female": "x^$"})
    predictions = Predictions.from_table(table, ["sex"])
    result = audit(predictions, AuditSpec(attributes=(Attribute(name="sex"),), draws=100))
    assert "sex: $a_$b" in render(result)
