"""Whatever is sent, a real server answers with a problem and goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from service_samples import png, promoted

from service.jobs.workflow import Workplace
from service.settings import ServiceSettings
from service.storage.database import Database

NO_WORKER = "No worker answered"

TYPES = st.sampled_from(
    [
        "application/json",
        "application/octet-stream",
        "application/dicom",
        "application/x-npy",
        "application/vnd.apache.arrow.stream",
        "image/png",
        "image/jpeg",
        "image/tiff",
        "multipart/form-data",
        "multipart/form-data; boundary=b",
        "application/x-www-form-urlencoded",
        "text/plain",
        "",
        "💥".encode().decode("latin-1"),
    ]
)

#: How images and tables begin, so that the bodies get past the first look.
MAGIC = st.sampled_from(
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        png()[:60],
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        b"II*\0\x08\0\0\0",
        b"\0" * 128 + b"DICM",
        b"\x93NUMPY\x01\0",
        b"PK\x03\x04",
        b"PAR1",
        b"\xff\xff\xff\xff",
        b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n',
        b'--b\r\nContent-Disposition: form-data; name="predictions"; filename="a.csv"\r\n\r\n',
        b'{"images": [{"name": "a", "data": "',
        b'{"inputs": [',
        b'{"cohorts": [',
    ]
)

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())

BODIES = (
    st.binary(max_size=400)
    | JSON
    | st.tuples(MAGIC, st.binary(max_size=200)).map(b"".join)
    | st.tuples(MAGIC, JSON).map(b"".join)
)


@pytest.fixture(scope="module")
def address(trained, tmp_path_factory) -> Iterator[str]:
    """Where an open service with a champion and no worker listens."""
    home = tmp_path_factory.mktemp("malformed")
    read = ServiceSettings.read(home=home)
    database = Database.opened(read.database)
    promoted(Workplace.of(read, database).registry, trained)
    database.close()
    own = {k: v for k, v in os.environ.items() if not k.startswith("EVENSCAN_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0", "--no-worker", "--open"],
        env=own | {"EVENSCAN_HOME": str(home), "EVENSCAN_CHECK_SECONDS": "0.05"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().split()[-1]
    process.terminate()
    assert process.wait(timeout=20) == 0
    process.stdout.close()


def is_an_answer(status: int, kind: str, body: str, label: str) -> None:
    """Check that a request was understood or refused, and did not break anything."""
    if status >= 400:
        assert kind == "application/problem+json", (label, status, body)
        assert json.loads(body)["status"] == status
    if status >= 500:
        assert status == 503, (label, body)
        assert NO_WORKER in json.loads(body)["detail"], (label, body)


def bodies_that_do_not_fit(address: str, examples: int) -> int:
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    # Probes take nothing, and may say 503.
    return sum(
        sent_to(each, examples)
        for each in operations
        if not each.path.startswith(("/health", "/v2/health"))
    )


def sent_to(operation: schemathesis.APIOperation, examples: int) -> int:
    sent = 0

    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck))
    def send(case):
        nonlocal sent
        answer = case.call(timeout=20)
        sent += 1
        kind = answer.headers.get("content-type", [""])[0]
        is_an_answer(answer.status_code, kind, answer.text, operation.label)

    send()
    return sent


def bodies_of_any_kind(address: str, examples: int) -> int:
    document = httpx2.get(f"{address}/openapi.json").json()
    targets = [path for path, methods in document["paths"].items() if "post" in methods]
    filled = [path.replace("{version}", "1").replace("{name}", "champion") for path in targets]
    sent = 0
    with httpx2.Client(base_url=address, timeout=20) as client:

        @given(path=st.sampled_from(filled), kind=TYPES, accept=TYPES, body=BODIES)
        @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck))
        def send(path, kind, accept, body):
            nonlocal sent
            headers = [
                (b"Content-Type", kind.encode("latin-1")),
                (b"Accept", accept.encode("latin-1")),
            ]
            answer = client.post(path, content=body, headers=headers)
            sent += 1
            found = answer.headers.get("content-type", "")
            is_an_answer(answer.status_code, found, answer.text, f"POST {path}")

        send()
    return sent


def still_predicts(address: str) -> bool:
    files = {"images": ("a.png", png())}
    return httpx2.post(f"{address}/v1/predictions", files=files).status_code == 200


def test_bodies_that_do_not_fit_the_description(address):
    assert bodies_that_do_not_fit(address, 4) > 100
    assert still_predicts(address)


def test_bodies_of_any_kind(address):
    assert bodies_of_any_kind(address, 1000) >= 1000
    assert still_predicts(address)


@pytest.mark.slow
def test_ten_thousand_bodies(address):
    sent = bodies_that_do_not_fit(address, 60)
    sent += bodies_of_any_kind(address, 10_000 - sent)
    assert sent >= 10_000
    assert still_predicts(address)
