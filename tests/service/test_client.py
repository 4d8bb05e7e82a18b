"""The client against a real server, and against one that has troubles."""

import re
import threading

import httpx2
import pytest
from access_samples import listening
from service_samples import png, promoted

from evaluation.errors import InputError
from service.app import create_app
from service.client import AUDIT_FILES, Client, ServiceError
from service.database import Database
from service.jobs import Jobs, add
from service.keys import Keys
from service.registry import ModelRegistry
from service.settings import ServiceSettings
from service.store import LocalStore
from service.tables import Job

PROBLEM = {"type": "about:blank", "title": "No", "detail": "Not now.", "errors": []}

#: Operations that are for other programs: probes of a platform, and clients of that protocol.
FOREIGN = re.compile(r"/health/(live|startup)|/v2")


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


def test_a_key_does_not_travel_in_the_open():
    with pytest.raises(InputError, match="readable for everybody"):
        Client("http://hospital.example", "evs_key")
    Client("http://hospital.example", "evs_key", insecure=True).close()
    Client("http://hospital.example").close()
    Client("https://hospital.example", "evs_key").close()


@pytest.mark.parametrize("address", ["", "hospital.example", "file:///etc", "http://[::1"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InputError, match="no address"):
        Client(address)


@pytest.mark.parametrize("key", ["evs_SECRET\n", "evs_SECRET\r", "evs_SECRETé", "evs SECRET"])
def test_a_key_that_is_none_is_refused_and_not_shown(key):
    with pytest.raises(InputError) as caught:
        Client("http://127.0.0.1:1", key)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://user:SECRET@host", "http://127.0.0.1:99999"])
def test_an_address_with_a_password_or_without_a_port(address):
    with pytest.raises(InputError, match="no address") as caught:
        Client(address)
    assert "SECRET" not in str(caught.value)


def test_address_and_key_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("EVENSCAN_URL", "https://hospital.example/")
    monkeypatch.setenv("EVENSCAN_KEY", "evs_key")
    sent = []

    def answer(request):
        sent.append(request)
        return httpx2.Response(200, json={"champion": None, "challenger": None})

    with Client(transport=httpx2.MockTransport(answer)) as client:
        client.aliases()
        assert "evs_key" not in repr(vars(client)) + repr(vars(client._connection))
    assert str(sent[0].url) == "https://hospital.example/v1/aliases"
    assert sent[0].headers["authorization"] == "Bearer evs_key"


class Troubled:
    """A service that answers with these first, and with a body then."""

    def __init__(self, *troubles, body):
        self.troubles, self.body, self.sent = list(troubles), body, []

    def __call__(self, request):
        self.sent.append(request)
        request.read()
        if not self.troubles:
            return httpx2.Response(200, json=self.body)
        if isinstance(trouble := self.troubles.pop(0), Exception):
            raise trouble
        return trouble


def later(status, seconds="0"):
    return httpx2.Response(status, json=PROBLEM, headers={"Retry-After": seconds})


def asking(service, **more):
    return Client("http://localhost", transport=httpx2.MockTransport(service), **more)


def test_what_passes_is_tried_again_and_done_once(monkeypatch):
    monkeypatch.setattr("service.connection.FIRST_WAIT", 0.01)
    move = {"id": 1, "alias": "champion", "version": 1, "previous": 2, "who": "Ada"}
    move |= {"why": "why", "audit": None, "undoes": 1, "created": "2026-11-23T00:00:00Z"}
    troubles = (later(429), httpx2.ConnectError("refused"), later(503))
    service = Troubled(*troubles, body=move)
    with asking(service) as client:
        assert client.rollback("why").version == 1
    keys = [request.headers["idempotency-key"] for request in service.sent]
    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_files_are_sent_whole_each_time(monkeypatch, tmp_path):
    monkeypatch.setattr("service.connection.FIRST_WAIT", 0.01)
    file = tmp_path / "a.png"
    file.write_bytes(b"pixels")
    service = Troubled(later(503), body={"model": {}})
    with asking(service) as client, pytest.raises(ServiceError, match="none of this service"):
        client.predictions([file])
    assert [b"pixels" in request.content for request in service.sent] == [True, True]


def test_patience_ends():
    service = Troubled(*[later(503, "9")] * 9, body={})
    with asking(service, patience=5) as client, pytest.raises(ServiceError, match="Not now"):
        client.aliases()
    assert len(service.sent) == 1


def test_a_new_key_is_not_asked_for_twice():
    service = Troubled(*[later(503)] * 9, body={})
    with asking(service) as client, pytest.raises(ServiceError):
        client.create_key("a", "viewer")
    assert len(service.sent) == 1
    assert "idempotency-key" not in service.sent[0].headers


def test_nobody_at_home():
    nowhere = pytest.raises(ServiceError, match=r"127\.0\.0\.1:9 does not answer")
    with Client("http://127.0.0.1:9", patience=0) as client, nowhere as refused:
        client.aliases()
    assert refused.value.status is None


def test_something_else_answers():
    def page(request):
        return httpx2.Response(502, text="<html>Bad gateway</html>")

    with asking(page) as client, pytest.raises(ServiceError, match="502"):
        client.aliases()


def test_a_download_that_breaks_off_leaves_nothing(tmp_path):
    def pieces():
        yield b"half"
        raise httpx2.ReadError("gone")

    def broken(request):
        return httpx2.Response(200, content=pieces())

    target = tmp_path / "model.zip"
    with asking(broken, patience=0) as client, pytest.raises(ServiceError, match="gone"):
        client.download_model(1, target)
    assert list(tmp_path.iterdir()) == []


def calls(client, folder):
    """Every method, with arguments that it takes."""
    file = folder / "file"
    file.write_bytes(b"content")
    images = [("a.png", b"image")]
    return [
        lambda: client.predictions(images),
        lambda: client.embeddings(images),
        lambda: client.counterfactuals(images, images),
        lambda: client.upload_cohort([file], [file], schema=file),
        lambda: client.register_cohort("folder", schema_name="phantom"),
        lambda: list(client.cohorts()),
        lambda: client.cohort("c"),
        lambda: client.cohort_report("c"),
        lambda: client.delete_cohort("c"),
        lambda: client.retrain({"method": "erm"}),
        lambda: client.audit_file(file, ["sex"]),
        lambda: client.audit_model(1, "c"),
        lambda: client.audit_file(file, ["sex"], champion=file),
        lambda: client.compare(1, 2, "c"),
        lambda: list(client.audits()),
        lambda: client.audit("a"),
        *(
            lambda end=end: client._connection.download(f"/v1/audits/a{end}", folder / "x")
            for end, _ in AUDIT_FILES.values()
        ),
        lambda: client._connection.download("/v1/audits/a/report.pdf", folder / "x"),
        lambda: client.audit_summary("a"),
        lambda: client.audit_tables("a"),
        lambda: client.download_audit_table("a", "gaps", folder / "x"),
        lambda: client.download_audit_predictions("a", folder / "x"),
        lambda: client.delete_audit("a"),
        lambda: list(client.models()),
        lambda: client.model(1),
        lambda: client.promote(1, "why"),
        lambda: client.aliases(),
        lambda: list(client.moves()),
        lambda: client.rollback("why"),
        lambda: client.download_model(1, folder / "x"),
        lambda: client.download_model(1, folder / "x", "run"),
        lambda: client.delete_model(1),
        lambda: list(client.jobs()),
        lambda: client.job("j"),
        lambda: list(client.logs("j")),
        lambda: list(client.events("j")),
        lambda: client.cancel("j"),
        lambda: client.retry("j"),
        lambda: client.create_key("a", "viewer"),
        lambda: list(client.keys()),
        lambda: client.revoke_key("k"),
        lambda: client.is_ready(),
        lambda: client.metrics(),
    ]


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
        if not FOREIGN.match(path)
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
