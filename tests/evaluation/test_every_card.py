"""Promises that every card keeps."""

import re

import pytest

from evaluation.about import NOT_STATED, About
from evaluation.card import CARDS
from evaluation.shareable import shareable
from tests.evaluation.made_audit import made_audit

every_card = pytest.mark.parametrize("name", CARDS.names())

TEXTS = {name: field for name, field in About.model_fields.items() if field.annotation is str}


@pytest.fixture(scope="module")
def plain():
    return made_audit()


def everything_stated():
    return About(**{name: f"fact-{name}." for name in TEXTS}, evaluation_source="external")


@every_card
def test_nothing_is_invented(name, plain):
    card = CARDS.get(name)().render(plain, About())
    assert NOT_STATED in card
    assert not re.search(r"\bnan\b", card, re.IGNORECASE)


@every_card
def test_the_same_audit_gives_the_same_card(name, plain):
    render = CARDS.get(name)().render
    assert render(plain, everything_stated()) == render(plain, everything_stated())


@every_card
def test_the_numbers_of_the_audit_are_in_it(name, plain):
    card = CARDS.get(name)().render(plain, About())
    found = plain.estimate("auroc")
    assert f"{found.value:.3f}" in card or str(found.value) in card
    assert plain.digest in card
    assert f"{plain.spec.draws} bootstrap draws" in card


@every_card
def test_what_was_measured_on_test_thresholds_says_so(name, plain):
    thresholds = tuple(
        each.model_copy(update={"chosen_on": "test"}) for each in plain.thresholds
    )
    flattered = plain.model_copy(update={"thresholds": thresholds})
    assert "error rates are optimistic" in CARDS.get(name)().render(flattered, About())


@every_card
def test_an_audit_without_attributes_and_policy_has_a_card(name):
    card = CARDS.get(name)().render(made_audit(attributes=()), About())
    assert card.endswith("\n")


@every_card
def test_every_finding_is_named(name):
    card = CARDS.get(name)().render(made_audit(findings=("edema", "mass")), About())
    assert "AUROC of edema" in card
    assert "AUROC of mass" in card


@every_card
def test_a_shareable_audit_has_a_card_without_small_groups(name):
    card = CARDS.get(name)().render(shareable(made_audit(small=4)), About())
    assert "sex: other" in card or name == "chai"
    assert "fewer than 11 patients" in card


def test_every_statement_is_in_some_card(plain):
    cards = [CARDS.get(name)().render(plain, everything_stated()) for name in CARDS.names()]
    for name in TEXTS:
        assert any(f"fact-{name}." in card for card in cards), name


def test_cards_have_files_of_their_own():
    names = [CARDS.get(name).filename for name in CARDS.names()]
    assert len(set(names)) == len(names)
