"""The Markdown model card has the sections of the paper, and tables that stay tables."""

import re

import pytest

from evaluation.about import About
from evaluation.cards.model_card import ModelCard
from tests.evaluation.made_audit import made_audit

SECTIONS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]


@pytest.fixture(scope="module")
def plain():
    return made_audit()


def test_sections_are_those_of_the_paper(plain):
    card = ModelCard().render(plain, About(name="Chest"))
    assert card.startswith("# Chest (model card)\n")
    assert re.findall("^## (.*)$", card, re.MULTILINE) == SECTIONS
    titles = re.findall("^### (.*)$", card, re.MULTILINE)
    assert titles[1] == "Unitary results"
    assert "Intersectional results" in titles


def test_every_row_of_a_table_has_its_columns(plain):
    card = ModelCard().render(plain, About())
    for block in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    assert "site: &lt;b&gt;\\|north" in card
    assert "<b>" not in card


def test_every_group_has_its_row(plain):
    card = ModelCard().render(plain, About())
    for size in plain.cohort:
        name = size.group.replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")
        assert f"| {name} |" in card


def test_the_verdict_is_told_clause_by_clause(plain):
    card = ModelCard().render(plain, About())
    assert f"Verdict {plain.verdict}." in card
    for clause in plain.clauses:
        assert clause.clause in card
