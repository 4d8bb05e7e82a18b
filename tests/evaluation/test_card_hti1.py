"""The HTI-1 card has all 31 attributes, and measured ones only where they belong."""

import json
from collections import Counter

import pytest

from evaluation.about import NOT_STATED, About
from evaluation.cards.hti1 import Hti1Card
from tests.evaluation.made_audit import made_audit

# How many attributes each paragraph of the rule has.
PARAGRAPHS = {1: 4, 2: 4, 3: 2, 4: 4, 5: 2, 6: 4, 7: 5, 8: 4, 9: 2}
PLACES = {"same source": ("(7)(i)", "(7)(ii)"), "external": ("(7)(iii)", "(7)(iv)")}
PLACES["local"] = ("(8)(ii)", "(8)(iv)")


@pytest.fixture(scope="module")
def plain():
    return made_audit()


def card(audit, **stated):
    return json.loads(Hti1Card().render(audit, About(**stated)))


def values(found):
    return {each["number"]: each["value"] for each in found["attributes"]}


def test_there_are_31_attributes_by_paragraph(plain):
    numbers = [each["number"] for each in card(plain)["attributes"]]
    assert len(set(numbers)) == len(numbers) == 31
    assert Counter(int(number[1]) for number in numbers) == PARAGRAPHS


@pytest.mark.parametrize("source", PLACES)
def test_measured_attributes_are_those_of_the_source(plain, source):
    found = values(card(plain, evaluation_source=source))
    validity, fairness = PLACES[source]
    measured = {number for number, value in found.items() if not isinstance(value, str)}
    assert measured - {"(6)(iii)"} == {validity, fairness}
    first = found[validity][0]
    estimate = plain.estimate("auroc")
    assert (first["value"], first["low"], first["high"]) == (
        estimate.value,
        estimate.low,
        estimate.high,
    )
    assert first["confidence"] == 0.95
    assert "95 % interval" in first["statement"]
    assert {each["group"] for each in found[fairness]["groups"]} >= {"sex: female", "sex: male"}
    assert found[fairness]["gaps"]


def test_without_a_source_nothing_is_placed(plain):
    found = card(plain)
    assert set(values(found).values()) == {NOT_STATED}
    assert found["unplaced"]["validity"]
    assert found["unplaced"]["fairness"]["gaps"]


def test_only_external_data_are_told_of_as_external(plain):
    stated = {"evaluation_data": "Two hospitals.", "evaluation_party": "A university."}
    local = values(card(plain, evaluation_source="local", **stated))
    assert {local[f"(6)({n})"] for n in ("i", "ii", "iii", "iv")} == {NOT_STATED}
    external = values(card(plain, evaluation_source="external", **stated))
    assert external["(6)(i)"] == "Two hospitals."
    female = next(each for each in external["(6)(iii)"] if each["group"] == "sex: female")
    assert female["patients"] == next(
        size.patients for size in plain.cohort if size.group == "sex: female"
    )


def test_statements_of_several_fields_are_joined(plain):
    found = values(card(plain, developer="A lab", contact="lab@example.org"))
    assert found["(1)(i)"] == "A lab; lab@example.org"
    assert values(card(plain, contact="lab@example.org"))["(1)(i)"] == "lab@example.org"


def test_fairness_without_attributes_is_not_stated():
    found = values(card(made_audit(attributes=()), evaluation_source="external"))
    assert found["(7)(iv)"] == NOT_STATED
    assert found["(6)(iii)"] == NOT_STATED
