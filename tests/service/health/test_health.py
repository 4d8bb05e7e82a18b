"""Probes mean what they say, tell no secrets, and cost nothing to ask."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from service_samples import HERE, promoted

from service.app import create_app
from service.health import readiness
from service.health.readiness import Busy, Readiness


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No outcome is kept, but where a test wants it."""
    monkeypatch.setattr(readiness, "GOOD_FOR", 0.0)


def settled(running):
    """Ask until nothing from before the test is remembered."""
    running.client.get("/health/ready")
    running.services.readiness._until = 0.0


@pytest.fixture
def asked(empty):
    settled(empty)
    return empty


def checks(running, path="/health/ready", status=200):
    answer = running.client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == ("ready" if status == 200 else "not ready")
    return answer.json()["checks"]


def test_a_service_without_a_model_is_ready(asked):
    names = {"database", "migrations", "champion", "queue", "store", "access log"}
    assert checks(asked) == dict.fromkeys(names, "ok")
    assert checks(asked, "/health/startup") == {"champion": "ok"}


def test_alive_touches_nothing(asked, monkeypatch):
    monkeypatch.setattr(asked.services.database, "ping", None)
    asked.services.database.close()
    assert asked.client.get("/health/live").json() == {"status": "alive"}


def test_a_database_that_is_gone(asked):
    for path in asked.settings.home.glob("evenscan.db*"):
        path.rename(path.with_suffix(path.suffix + ".away"))
    asked.services.database.close()
    asked.settings.home.joinpath("evenscan.db").mkdir()
    found = checks(asked, status=503)
    assert found["database"] == "failed with OperationalError"
    assert found["store"] == "ok"


def test_an_old_schema(asked):
    asked.services.database.downgrade("0001")
    assert checks(asked, status=503)["migrations"] == "failed with RuntimeError"
    asked.services.database.upgrade()
    assert checks(asked)["migrations"] == "ok"


def test_a_champion_that_cannot_be_loaded(asked, trained):
    version = promoted(asked.services.registry, trained)
    (asked.services.registry.directory(version) / "model.onnx").write_bytes(b"nonsense")
    found = checks(asked, status=503)
    assert found["champion"].startswith("failed with ")
    assert str(asked.settings.home) not in str(found)


def test_a_full_queue(asked, monkeypatch):
    most = asked.settings.max_waiting
    monkeypatch.setattr(type(asked.services.runtime), "waiting", most)
    assert checks(asked, status=503)["queue"] == "it is full"
    monkeypatch.setattr(type(asked.services.runtime), "waiting", most - 1)
    assert checks(asked)["queue"] == "ok"


def test_a_store_that_is_out_of_reach(asked, monkeypatch):
    def unreachable(prefix):
        raise ConnectionError("https://somewhere")

    monkeypatch.setattr(asked.services.store, "names", unreachable)
    assert checks(asked, status=503)["store"] == "failed with ConnectionError"


def test_an_access_log_that_cannot_be_written(asked):
    folder = asked.services.access_log.folder
    asked.services.access_log.close()
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("in the way")
    asked.client.get("/v1/models")
    assert checks(asked, status=503)["access log"].startswith("failed with ")


def test_a_service_that_is_about_to_stop(asked):
    asked.services.readiness.stopping = True
    assert checks(asked, status=503)["running"] == "it is about to stop"
    assert asked.client.get("/health/live").status_code == 200


def test_probes_need_no_key(settings):
    closed = settings.model_copy(update={"open": False})
    with TestClient(create_app(closed), base_url=HERE) as client:
        for name in ("live", "ready", "startup"):
            assert client.get(f"/health/{name}").status_code == 200


def test_the_champion_is_loaded_before_anybody_asks(settings, trained):
    with TestClient(create_app(settings), base_url=HERE) as client:
        promoted(client.app.state.services.registry, trained)
    with TestClient(create_app(settings), base_url=HERE) as client:
        deadline = time.monotonic() + 20
        while not client.app.state.services.runtime.loaded:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.get("/health/startup").status_code == 200


def test_a_start_waits_for_the_champion_and_only_once():
    passes = False

    def champion():
        if not passes:
            raise Busy("it is read")

    watched = Readiness({"champion": champion}, "champion")
    assert watched.started() == {"champion": "it is read"}
    passes = True
    assert watched.started() == {"champion": "ok"}
    passes = False
    assert watched.started() == {"champion": "ok"}
    assert watched.found() == {"champion": "it is read"}


def test_a_flood_of_probes_is_one_look(monkeypatch):
    monkeypatch.setattr(readiness, "GOOD_FOR", 60.0)
    looks = []
    watched = Readiness({"champion": lambda: looks.append(1)}, "champion")
    for _ in range(100):
        watched.found()
        watched.started()
    assert len(looks) == 1


@pytest.fixture
def looking():
    """Checks of which one is being waited for, and what lets it go on."""
    under_way, go_on = threading.Event(), threading.Event()
    go_on.set()

    def champion():
        under_way.set()
        assert go_on.wait(10)

    watched = Readiness({"champion": champion}, "champion")
    assert watched.found() == {"champion": "ok"}
    under_way.clear()
    go_on.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(watched.found)
        assert under_way.wait(5)
        yield watched, first, go_on
        go_on.set()


def test_nobody_waits_for_a_look_that_another_has_begun(looking):
    watched, first, go_on = looking
    assert watched.found() == watched.started() == {"champion": "ok"}
    assert not first.done()
    go_on.set()
    assert first.result(5) == {"champion": "ok"}


def test_a_look_without_an_end_is_not_ready(looking, monkeypatch):
    watched, first, go_on = looking
    monkeypatch.setattr(readiness, "LONGEST", 0.0)
    assert watched.found() == {"champion": "ok", "looking": "it takes longer than 0 s"}
    monkeypatch.setattr(readiness, "LONGEST", 10.0)
    go_on.set()
    first.result(5)
    assert watched.found() == {"champion": "ok"}


def test_the_first_look_is_waited_for_a_moment(monkeypatch):
    monkeypatch.setattr(readiness, "FIRST", 0.05)
    under_way, go_on = threading.Event(), threading.Event()

    def champion():
        under_way.set()
        assert go_on.wait(10)

    watched = Readiness({"champion": champion}, "champion")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(watched.found)
        assert under_way.wait(5)
        assert watched.found() == {"champion": "not checked yet"}
        monkeypatch.setattr(readiness, "FIRST", 10.0)
        go_on.set()
        assert watched.found() == first.result(5) == {"champion": "ok"}
