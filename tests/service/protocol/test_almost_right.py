"""Requests that are almost right get past the first look; then the worker refuses them, too.

Bodies of noise are in ``test_malformed``.
"""

import copy
import json

import pytest
import tomli_w
from audit_samples import predictions
from cohort_samples import SCHEMA, images, table, zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_samples import promoted, tiny

#: What may stand where something else should.
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "a", "label", "champion", "1", "../../etc/passwd", "\0", "x" * 5000])
    | st.text(max_size=8)
)
VALUES = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(st.text(max_size=8), LEAVES)

#: Settings of an audit.
AUDIT = {
    "audit": {
        "draws": 100,
        "metrics": ["auroc", "true_positive_rate"],
        "minimum_patients": 2,
        "primary": ["sex"],
        "attributes": [{"name": "sex", "categories": ["female", "male"]}],
    },
    "columns": {"label": "label", "score": "score"},
}

#: Other bodies of JSON, by path.
BODIES = {
    "/v1/retrain": tiny(promotion="hold", approver="Ada", webhook=None, pdf=False),
    "/v1/audits": {"model": "champion", "cohort": "a", "pdf": False},
    "/v1/audits/comparisons": {"challenger": 1, "champion": 1, "cohort": "a"},
    "/v1/cohorts": {"folder": "a", "schema": SCHEMA},
    "/v1/keys": {"name": "Ada", "role": "viewer", "scopes": ["read"], "expires": "90d"},
    "/v1/models/1/promote": {"who": "Ada", "why": "It is better.", "override": False},
    "/v1/aliases/champion/rollback": {"who": "Ada", "why": "It is worse."},
}


@st.composite
def changed(draw, value):
    """The value with one or two of its parts changed, taken away or added."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        place = value
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            inner = [
                key for key in keys if isinstance(place[key], dict | list) and len(place[key])
            ]
            if not inner or draw(st.booleans()):
                break
            place = place[draw(st.sampled_from(inner))]
        how = draw(st.sampled_from(["change", "take away", "add"]))
        if isinstance(place, dict) and (how == "add" or not keys):
            place[draw(st.text(max_size=8))] = draw(VALUES)
        elif how == "add" or not keys:
            place.append(draw(VALUES))
        elif how == "change":
            place[draw(st.sampled_from(keys))] = draw(VALUES)
        else:
            del place[draw(st.sampled_from(keys))]
    return value


@st.composite
def edited(draw, text):
    """A table with some of its characters changed."""
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        noise = draw(st.sampled_from([",", "\n", '"', "\0", "NaN", "é", "1e999", "-"]))
        text = text[:at] + noise + text[at + draw(st.integers(0, 5)) :]
    return text


def as_toml(value) -> bytes:
    """A TOML file of a value, or what there is if it cannot be one."""
    try:
        return tomli_w.dumps(value).encode()
    except (TypeError, ValueError):
        return repr(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def asked(worked, trained):
    """A service that has a worker and a champion; sends a request, and wants no job of it."""
    promoted(worked.services.registry, trained)

    def send(path, **request):
        answer = worked.client.post(path, **request)
        assert answer.status_code < 500, (path, request, answer.text)
        if answer.status_code == 202:
            worked.client.post(f"{answer.headers['location']}/cancel")
        elif answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code

    return send


def check(asked, examples):
    common = {"database": None, "suppress_health_check": list(HealthCheck)}

    @given(st.data(), st.sampled_from(sorted(BODIES)))
    @settings(max_examples=examples, **common)
    def bodies(data, path):
        body = json.dumps(data.draw(changed(BODIES[path])))  # with NaN and half characters
        asked(path, content=body, headers={"Content-Type": "application/json"})

    @given(changed(AUDIT), edited(predictions(20).to_csv(index=False)))
    @settings(max_examples=examples // 4, **common)
    def audits(wanted, rows):
        files = {"predictions": ("a.csv", rows), "settings": ("a.toml", as_toml(wanted))}
        asked("/v1/audits", files=files)

    @given(changed(SCHEMA), edited(table(4)))
    @settings(max_examples=examples // 4, **common)
    def cohorts(schema, rows):
        files = [
            ("schema", ("skin.toml", as_toml(schema))),
            ("manifest", ("table.csv", rows)),
            ("images", ("images.zip", PICTURES)),
        ]
        asked("/v1/cohorts", files=files)

    for each in (bodies, audits, cohorts):
        each()


PICTURES = zipped(images(4))


def test_what_is_almost_right_is_refused_by_name(asked):
    check(asked, 60)


@pytest.mark.slow
def test_thousands_of_requests_that_are_almost_right(asked):
    check(asked, 2000)
