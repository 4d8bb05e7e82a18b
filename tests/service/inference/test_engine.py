"""The engine under load: full queues, senders who go, versions that go, promotions."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from service_samples import is_problem, png, promoted

from service.inference.runtime import Runtime
from service.security.access import ANYBODY
from training.predictor import Predictor


def ask(running, **query):
    files = {"images": ("a.png", png())}
    return running.client.post("/v1/predictions", files=files, params=query)


@pytest.fixture
def held(empty, trained, monkeypatch):
    """A service whose champion is busy, on its own thread, until it is let go."""
    monkeypatch.setattr("service.inference.runtime.SHORT", -1.0)
    promoted(empty.services.registry, trained)
    model = empty.services.runtime.model("champion")
    free, busy, run = threading.Event(), threading.Event(), model.batcher._run

    def slow(pixels):
        busy.set()
        free.wait(10)
        return run(pixels)

    model.batcher._run = slow
    yield empty, model, free, busy
    free.set()


def test_a_full_queue_is_answered_503_and_nothing_taken_is_lost(held):
    running, model, free, busy = held
    model.batcher._most = 2
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, running)]
        assert busy.wait(5)
        answers += [pool.submit(ask, running) for _ in range(2)]
        while model.batcher.waiting < 2:
            pass
        refused = ask(running)
        assert "MAX_WAITING" in is_problem(refused, 503)["detail"]
        assert refused.headers["retry-after"] == "1"
        free.set()
        assert [each.result(10).status_code for each in answers] == [200] * 3


def test_a_version_deleted_while_it_serves_finishes(held, trained):
    running, model, free, busy = held
    registry = running.services.registry
    registry.promote(registry.register(trained, "a job").id, "a test", "It is needed.")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, running, model="1")
        assert busy.wait(5)
        deleted = running.client.delete("/v1/models/1")
        assert deleted.status_code == 204, deleted.text
        assert not model.folder.exists()
        is_problem(ask(running, model="1"), 410)
        free.set()
        assert answer.result(10).json()["model"]["version"] == 1
    assert running.services.runtime.loaded == []
    assert model.batcher.drain(5)  # its thread has ended
    assert ask(running).json()["model"]["version"] == 2


def test_who_goes_away_is_dropped(held):
    running, model, free, busy = held
    app = running.client.app
    sent = []

    async def go():
        messages = [{"type": "http.request", "body": png(), "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        headers = [(b"content-type", b"image/png"), (b"host", b"127.0.0.1")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/predictions",
            "headers": headers,
        }
        scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": ""}
        scope |= {"app": app, "state": {"principal": ANYBODY}, "client": ("127.0.0.1", 1)}
        await asyncio.wait_for(app(scope, receive, send), 5)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, running)
        assert busy.wait(5)
        asyncio.run(go())
        free.set()
        assert first.result(10).status_code == 200
    assert model.batcher.waiting == 0


def test_a_quick_model_says_the_same_on_the_event_loop_as_on_a_thread(
    empty, trained, monkeypatch
):
    registry, runtime = empty.services.registry, empty.services.runtime
    promoted(registry, trained)
    registry.register(trained, "a job")
    monkeypatch.setattr("service.inference.runtime.SHORT", -1.0)
    assert not runtime.model("1").quick
    monkeypatch.setattr("service.inference.runtime.SHORT", 1.0)
    assert runtime.model("2").quick
    threaded, here = (ask(empty, model=name).json() for name in ("1", "2"))
    assert here["predictions"] == threaded["predictions"]
    assert [runtime.model(name).batcher._running for name in ("1", "2")] == [True, False]


def test_a_promotion_counts_from_the_next_request_on(empty, trained):
    registry = empty.services.registry
    promoted(registry, trained)
    registry.register(trained, "a job")
    assert ask(empty).json()["model"]["version"] == 1
    registry.promote(2, "a test", "It is needed.")
    assert ask(empty).json()["model"]["version"] == 2
    assert ask(empty, model="1").json()["model"]["version"] == 1


def test_loading_one_version_does_not_hold_up_another(registry, trained):
    for job in "ab":
        registry.register(trained, job)
    loading, go_on = threading.Event(), threading.Event()

    def load(folder):
        if folder.name == "b":
            loading.set()
            go_on.wait(10)
        return Predictor(folder, threads=1)

    runtime = Runtime(registry, 2, load)
    with ThreadPoolExecutor(2) as pool:
        second = [pool.submit(runtime.model, "2") for _ in range(2)]
        assert loading.wait(5)
        assert runtime.model("1").version.id == 1
        go_on.set()
        assert second[0].result(10) is second[1].result(10)
    runtime.close()


def test_who_waits_for_a_load_holds_no_thread_of_the_event_loop(registry, trained):
    registry.register(trained)
    loads, go_on = [], threading.Event()

    def load(folder):
        loads.append(folder)
        go_on.wait(10)
        return Predictor(folder, threads=1)

    runtime = Runtime(registry, 2, load)

    async def go():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        asked = [asyncio.create_task(runtime.find("1")) for _ in range(6)]
        while not loads:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(asyncio.to_thread(registry.champion), 5)
        asked[0].cancel()
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(*asked[1:])

    found = asyncio.run(go())
    assert all(each is found[0] for each in found)
    assert runtime.model("1") is found[0]
    assert len(loads) == 1
    runtime.close()


def test_a_load_that_failed_is_tried_again(registry, trained):
    registry.register(trained)
    failures = [OSError("the disk is slow today")]

    def load(folder):
        if failures:
            raise failures.pop()
        return Predictor(folder, threads=1)

    runtime = Runtime(registry, 2, load)
    with pytest.raises(OSError, match="slow"):
        runtime.model("1")
    assert asyncio.run(runtime.find("1")) is runtime.model("1")
    runtime.close()
