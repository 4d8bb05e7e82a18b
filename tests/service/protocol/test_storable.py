"""Settings that no store can keep are refused, whichever way they come."""

import json

import pytest
from cohort_samples import form
from hypothesis import assume, given
from hypothesis import strategies as st
from service_samples import is_problem, tiny

from evaluation.errors import InputError
from evaluation.settings import parse_toml
from service.protocol.errors import LISTED
from service.protocol.storable import DEEPEST, storable

TEXT = st.text(st.characters(exclude_categories=["Cs"]))

SCALARS = st.none() | st.booleans() | st.integers() | TEXT | st.floats(allow_nan=False)

#: Deep enough that recursion ends there, and shallow enough for the parser of JSON.
DEEP = 800


@given(st.dictionaries(TEXT, SCALARS | st.lists(SCALARS) | st.dictionaries(TEXT, SCALARS)))
def test_what_json_has_is_taken_as_it_is(values):
    assume("Infinity" not in json.dumps(values))
    assert storable(values, "here") is values


def nested(levels, inner=1):
    for _ in range(levels):
        inner = [inner]
    return inner


def test_the_deepest_that_is_taken():
    storable({"a": nested(DEEPEST - 2)}, "here")
    for levels in (DEEPEST - 1, 100_000):
        with pytest.raises(InputError, match="'a' is nested more than 20 levels deep"):
            storable({"a": nested(levels)}, "here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("missing = [1900-01-01]", "'missing.1' is the date or time 1900-01-01"),
        ("a.b = 1979-05-27T07:32:00Z", "'a.b' is the date or time 1979-05-27 07:32:00"),
        ("a = 07:32:00", "'a' is the date or time 07:32:00"),
        ("a = [1.0, nan]", "'a.2' is nan"),
        ("a = -inf", "'a' is -inf"),
        (f"a = 0x{'f' * 4000}", "thousands of digits"),
        (f"{'.'.join('a' * 1200)} = 1", "nested more than"),
    ],
    ids=range(7),
)
def test_what_toml_has_and_json_has_not(text, said):
    with pytest.raises(InputError, match=said):
        storable(parse_toml(text.encode(), "here"), "here")


def test_of_very_many_faults_some_are_told():
    with pytest.raises(InputError) as caught:
        storable({"a": [float("nan")] * 10_000}, "here")
    assert len(caught.value.faults) == LISTED


DEEP_JSON = f'{{"a": {"[" * DEEP}{"]" * DEEP}}}'


@pytest.mark.parametrize(
    "path", ["/v1/retrain", "/v1/cohorts", "/v1/audits", "/v1/audits/comparisons"]
)
def test_deep_bodies_are_refused(empty, path):
    headers = {"Content-Type": "application/json"}
    response = empty.client.post(path, content=DEEP_JSON, headers=headers)
    assert "nested more than" in is_problem(response, 422)["detail"]


@pytest.mark.parametrize(
    "text", [f"{'.'.join('a' * 1200)} = 1", "a = 1900-01-01", "a = inf"], ids=range(3)
)
@pytest.mark.parametrize("part", ["settings", "policy"])
def test_settings_of_an_audit(empty, part, text):
    files = {"predictions": ("a.csv", "sample\n"), part: ("a.toml", text)}
    response = empty.client.post("/v1/audits", files=files, data={"attributes": "sex"})
    [fault] = is_problem(response, 422)["errors"]
    assert (fault["where"], fault["found"][:3]) == (f"body, {part}", "'a'")
    assert list(empty.services.layout.uploads.iterdir()) == []


@pytest.mark.parametrize("missing", ["[1900-01-01]", "[nan]", "[12:00:00]"])
@pytest.mark.parametrize("as_file", [True, False])
def test_a_schema(empty, missing, as_file):
    text = f'name = "a"\nmissing = {missing}'
    schema = ("schema", ("schema.toml" if as_file else None, text))
    answer = empty.client.post("/v1/cohorts", files=[schema, *form()[1:]])
    [fault] = is_problem(answer, 422)["errors"]
    assert (fault["where"], fault["found"][:12]) == ("schema", "'missing.1' ")


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_a_configuration(empty, number):
    body = json.dumps(tiny(seed=0)).replace('"seed": 0', f'"seed": {number}')
    headers = {"Content-Type": "application/json"}
    response = empty.client.post("/v1/retrain", content=body, headers=headers)
    assert "'seed' is" in is_problem(response, 422)["detail"]


def test_a_cohort_that_the_service_knows(empty, monkeypatch):
    date = parse_toml(b"missing = [1900-01-01]", "cohort")
    monkeypatch.setattr("service.routes.retrain.read_toml", lambda path: date)
    monkeypatch.setattr("service.cohort.form.read_toml", lambda path: date)
    asked = {"cohort": "phantom", "method": "erm"}
    [fault] = is_problem(empty.client.post("/v1/retrain", json=asked), 422)["errors"]
    assert fault["where"] == "cohort phantom"
    asked = {"folder": "x", "schema_name": "phantom"}
    [fault] = is_problem(empty.client.post("/v1/cohorts", json=asked), 422)["errors"]
    assert fault["where"] == "cohort phantom"
