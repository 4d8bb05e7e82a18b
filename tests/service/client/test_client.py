"""The client against a real server."""

import re
import threading

import httpx2
import numpy as np
import pytest
from access_samples import listening
from client_samples import PROBLEM, asking, calls
from service_samples import png, promoted

from evaluation.errors import InputError
from service.app import create_app
from service.client import Client, ServiceError
from service.jobs.jobs import Jobs, add
from service.models.registry import ModelRegistry
from service.security.keys import Keys
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import LocalStore
from service.storage.tables import Job

#: Operations that are for the clients of another protocol.
FOREIGN = "/v2"


@pytest.fixture(scope="module")
def home(tmp_path_factory, trained):
    """A home with a champion, another version, a key, and three jobs that have ended."""
    settings = ServiceSettings.read(home=tmp_path_factory.mktemp("home"))
    database = Database.opened(settings.database)
    registry = ModelRegistry(database, LocalStore(settings.home), settings.home / "models")
    promoted(registry, trained)
    registry.register(trained, "job-2")
    _, key = Keys(database).create("Ada", "admin")
    jobs = Jobs(database)
    for number in range(3):
        with database.write() as session:
            add(session, Job(id=f"job-{number}", kind="audit", request={}, who="Ada"))
        jobs.begin(f"job-{number}", "read")
        jobs.succeed(f"job-{number}", "All is well.", {})
    yield settings, key, database
    database.close()


@pytest.fixture(scope="module")
def client(home):
    settings, key, _ = home
    with listening(settings) as (host, port), Client(f"http://{host}:{port}", key) as client:
        yield client


def test_answers_are_typed(client, tmp_path):
    file = tmp_path / "b.png"
    file.write_bytes(png(50))
    said = client.predictions([("a.png", png()), file])
    assert [each.image for each in said.predictions] == ["a.png", "b.png"]
    assert said.model.version == 1
    assert sum(said.predictions[0].probability.values()) == pytest.approx(1)
    embedded = client.embeddings([file], model=2, part="content")
    assert embedded.model.version == 2
    assert embedded.embeddings[0].content
    assert embedded.embeddings[0].style is None


@pytest.fixture(scope="module")
def batch():
    """Images as the model takes them, ``[image, channel, side, side]`` uint8."""
    return np.random.default_rng(0).integers(0, 255, (5, 3, 28, 28), np.uint8)


def test_arrays_go_out_and_come_back(client, batch):
    said = client.predictions(batch)
    assert [each.image for each in said.predictions] == [f"image {k}" for k in range(1, 6)]
    embedded = client.embedding_array(batch, model=2)
    assert (embedded.version, embedded.values.dtype) == (2, np.float32)
    listed = client.embeddings(batch, model=2).embeddings
    both = [[*each.content, *(each.style or ())] for each in listed]
    np.testing.assert_allclose(embedded.values, both, rtol=1e-6)
    file = [("a.png", png())]
    content = client.embeddings(file, part="content").embeddings[0].content
    array = client.embedding_array(file, part="content").values
    np.testing.assert_allclose(array, [content], rtol=1e-6)


def test_arrays_may_have_other_forms(client, batch):
    first = client.embedding_array(batch).values
    for same in (
        np.asfortranarray(batch),
        np.moveaxis(batch, 1, -1),
        batch / 255,
        (batch / 255).astype(">f4"),
        np.concatenate([batch, batch])[::2][[0, 3, 1, 4, 2]],
    ):
        np.testing.assert_allclose(client.embedding_array(same).values, first, atol=1e-4)


def test_arrays_that_fit_no_model(client, batch):
    with pytest.raises(InputError, match="its numbers are object"):
        client.predictions(np.array([object()]))
    for wrong in (batch[:0], batch[0], batch.astype(int), batch / 2.0):
        with pytest.raises(ServiceError, match="body: ") as refused:
            client.embedding_array(wrong)
        assert refused.value.status == 422


def test_the_service_says_that_it_is_well(client):
    assert (client.live(), client.startup()) == (True, True)


def test_lists_are_read_to_their_end(client, home):
    assert [each.id for each in client.jobs()] == ["job-2", "job-1", "job-0"]
    assert [each.text for each in client.logs("job-0")][-1] == "succeeded"
    assert [each.id for each in client.models()] == [2, 1]
    connection = client._connection
    pages = connection.pages("/v1/jobs", type(client.job("job-0")), who="Ada")
    assert len(list(pages)) == 3


def test_promotion_rollback_and_deletion(client):
    assert client.promote(2, "It is better.").aliases == ("champion",)
    assert client.aliases().champion == 2
    assert client.model("champion").moves[-1].who == "Ada"
    move = client.rollback("It was not.")
    assert (move.version, move.undoes is not None) == (1, True)
    assert len(list(client.moves("champion"))) == 3
    with pytest.raises(ServiceError, match="the champion") as refused:
        client.delete_model(1)
    assert refused.value.status == 409


def test_keys_are_made_listed_and_revoked(client):
    made = client.create_key("reader", "viewer")
    assert made.key
    assert made.key not in repr(made)
    client.revoke_key(made.id)
    assert {each.id: each.revoked for each in tuple(client.keys())}[made.id]


def test_a_refusal_says_all(client):
    with pytest.raises(ServiceError, match="it is not an image") as refused:
        client.predictions([("a.png", b"It is not an image.")])
    error = refused.value
    assert error.status == 422
    assert error.errors[0].where == "a.png"
    assert error.detail.startswith("a.png: ")
    with pytest.raises(ServiceError) as refused:
        client.predictions([("a.png", png()), ("b.png", b"No image."), ("c.png", b"None.")])
    assert [fault.where for fault in refused.value.errors] == ["b.png", "c.png"]
    assert [line.partition(":")[0] for line in refused.value.detail.splitlines()] == [
        "b.png",
        "c.png",
    ]
    assert error.request


def test_waiting_follows_what_happens(client, home):
    database = home[2]
    jobs = Jobs(database)
    with database.write() as session:
        add(session, Job(id="job-9", kind="audit", request={}, who="Ada"))

    def work():
        jobs.begin("job-9", "read")
        jobs.progress("job-9", "read", 0.5)
        jobs.log("job-9", "Half is read.")
        jobs.fail("job-9", "The rest is missing.")

    later = threading.Timer(0.5, work)
    later.start()
    seen = []
    ended = client.wait("job-9", seen.append, timeout=30)
    later.join()
    assert (ended.state, ended.reason) == ("failed", "The rest is missing.")
    kept = [event for event in seen if event.id is not None]
    assert [each.id for each in kept] == sorted({each.id for each in kept})
    assert [each.text for each in kept][-1] == "failed"


def test_waiting_ends_in_time(client, home):
    with home[2].write() as session:
        add(session, Job(id="job-8", kind="audit", request={}, who="Ada"))
    jobs = Jobs(home[2])
    jobs.begin("job-8", "read")
    ticking = threading.Timer(0.3, jobs.log, ("job-8", "still there"))
    ticking.start()
    with pytest.raises(TimeoutError, match="job-8"):
        client.wait("job-8", timeout=0.1)
    ticking.join()
    jobs.cancel("job-8", "Enough.")


def test_an_ingestion_leads_to_its_cohort(client, home):
    jobs = Jobs(home[2])
    with home[2].write() as session:
        add(session, Job(id="job-7", kind="ingest", request={}, who="Ada"))
    assert client.job("job-7").links == {}
    jobs.begin("job-7", "keep")
    jobs.succeed("job-7", "It is kept.", {"cohort": "skin-1"})
    place = "/v1/cohorts/skin-1"
    assert client.job("job-7").links == {"cohort": place, "report": f"{place}/report"}


def test_the_client_calls_what_there_is_and_all_of_it(settings, tmp_path):
    asked = set()

    def refuse(request):
        asked.add((request.method, request.url.path))
        return httpx2.Response(404, json=PROBLEM)

    with asking(refuse) as client:
        for call in calls(client, tmp_path):
            with pytest.raises(ServiceError):
                call()
    document = create_app(settings).openapi()
    operations = {
        (method.upper(), path): re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        for path, methods in document["paths"].items()
        for method in methods
        if not path.startswith(FOREIGN)
    }
    unknown = [
        each
        for each in asked
        if not any(
            m == each[0] and form.fullmatch(each[1]) for (m, _), form in operations.items()
        )
    ]
    missing = [
        name
        for name, form in operations.items()
        if not any(m == name[0] and form.fullmatch(path) for m, path in asked)
    ]
    assert (unknown, missing) == ([], [])
