"""Jobs are followed as server-sent events: live, again from where a stream broke, by many."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import httpx2
import pytest
from service_samples import is_problem
from test_processes import start, stop

from service.jobs.events import Follower
from service.jobs.jobs import Jobs, add
from service.storage.database import Database
from service.storage.tables import Job

MANY = 100


@pytest.fixture
def jobs(settings):
    """Rows of jobs, and two of them."""
    database = Database.opened(settings.database)
    with database.write() as session:
        for name in ("one", "other"):
            add(session, Job(id=name, kind="retrain", request={}))
    yield Jobs(database)
    database.close()


def parsed(text):
    """Events of a stream, as dictionaries; comments are left out."""
    blocks = (block.split("\n") for block in text.strip().split("\n\n"))
    fields = (
        dict(line.split(": ", 1) for line in block if line[:1] != ":") for block in blocks
    )
    return [field | {"data": json.loads(field["data"])} for field in fields if field]


def test_the_events_of_a_job_that_has_ended(empty):
    jobs = empty.services.jobs
    with empty.services.database.write() as session:
        add(session, Job(id="one", kind="retrain", request={}))
    assert jobs.begin("one", "ingest")
    jobs.log("one", "two\nlines")
    jobs.fail("one", "It broke.")
    response = empty.client.get("/v1/jobs/one/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    events = parsed(response.text)
    said = [(event["event"], event["data"]["text"]) for event in events]
    assert said == [
        ("state", "queued"),
        ("state", "running"),
        ("step", "ingest"),
        ("log", "two\nlines"),
        ("log", "It broke."),
        ("state", "failed"),
    ]
    ids = [int(event["id"]) for event in events]
    assert ids == sorted(ids)
    later = empty.client.get("/v1/jobs/one/events", headers={"Last-Event-ID": str(ids[3])})
    assert parsed(later.text) == events[4:]
    after = empty.client.get("/v1/jobs/one/events", headers={"Last-Event-ID": str(ids[-1])})
    assert after.text == ""
    page = empty.client.get("/v1/jobs/one/logs?limit=4").json()
    rest = empty.client.get(f"/v1/jobs/one/logs?cursor={page['next']}").json()
    lines = [(line["kind"], line["text"]) for line in page["items"] + rest["items"]]
    assert lines == said
    assert rest["next"] is None


@pytest.mark.parametrize("last", ["-1", "x", str(2**63), "1.5"])
def test_no_event_has_such_an_id(empty, last):
    with empty.services.database.write() as session:
        add(session, Job(id="one", kind="retrain", request={}))
    headers = {"Last-Event-ID": last}
    is_problem(empty.client.get("/v1/jobs/one/events", headers=headers), 422)


@pytest.mark.parametrize(
    "cursor", ["WyJ4Il0=", "W10=", "WzEsMl0=", "Wy0xXQ==", "WzFlOTldX", "x"]
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/one/logs"])
def test_cursors_of_another_list_are_refused(empty, path, cursor):
    with empty.services.database.write() as session:
        add(session, Job(id="one", kind="retrain", request={}))
    response = empty.client.get(f"{path}?cursor={cursor}")
    assert is_problem(response, 422)["errors"][0]["column"] == "cursor"


async def collected(follower, job, after=0):
    said = []
    state = ""
    async for row, events in follower.follow(job, after):
        state = row.state
        said += [(event.kind, event.text) for event in events]
    return state, said


def test_a_stream_waits_for_what_happens(jobs):
    follower = Follower(jobs, 0.02)

    async def scene():
        first = asyncio.create_task(collected(follower, "one"))
        second = asyncio.create_task(collected(follower, "one"))
        await asyncio.sleep(0.1)
        jobs.begin("one", "train")
        for epoch in range(3):
            await asyncio.sleep(0.05)
            jobs.log("one", f"epoch {epoch}")
        assert not first.done()
        jobs.log("other", "of another job")
        jobs.succeed("one", "It went well.", {})
        return await asyncio.wait_for(asyncio.gather(first, second), 5)

    first, second = asyncio.run(scene())
    assert first == second
    state, said = first
    assert state == "succeeded"
    assert said[2:] == [
        ("step", "train"),
        ("log", "epoch 0"),
        ("log", "epoch 1"),
        ("log", "epoch 2"),
        ("log", "It went well."),
        ("state", "succeeded"),
    ]


def test_nobody_looks_when_nobody_follows(jobs, monkeypatch):
    follower = Follower(jobs, 0.01)
    looked = []
    marks = Jobs.marks
    monkeypatch.setattr(
        Jobs, "marks", lambda self, names: looked.append(names) or marks(self, names)
    )

    async def scene():
        task = asyncio.create_task(collected(follower, "one"))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.sleep(0.1)
        count = len(looked)
        await asyncio.sleep(0.1)
        assert len(looked) == count > 2
        jobs.cancel("one", "Enough.")
        return await asyncio.wait_for(collected(follower, "one"), 5)

    assert asyncio.run(scene())[0] == "cancelled"


def test_a_stream_outlasts_a_database_that_goes(jobs, monkeypatch, caplog):
    follower = Follower(jobs, 0.01)
    marks, failures = Jobs.marks, iter(range(3))

    def flickering(self, names):
        if next(failures, None) is not None:
            raise OSError("gone")
        return marks(self, names)

    monkeypatch.setattr(Jobs, "marks", flickering)

    async def scene():
        task = asyncio.create_task(collected(follower, "one"))
        await asyncio.sleep(0.05)
        jobs.cancel("one", "Enough.")
        return await asyncio.wait_for(task, 5)

    assert asyncio.run(scene())[0] == "cancelled"
    assert "could not be read" in caplog.text


@asynccontextmanager
async def stream(client, job):
    """The events of a job, of which the first have come."""
    async with client.stream("GET", f"/v1/jobs/{job}/events") as response:
        assert response.status_code == 200
        chunks = response.aiter_text()
        first = await anext(chunks)
        assert "queued" in first
        yield chunks


def test_many_streams_keep_no_thread_from_other_requests(jobs, tmp_path):
    server, address = start(tmp_path, "--no-worker", "--open")
    limits = httpx2.Limits(max_connections=MANY + 10)

    async def scene():
        async with httpx2.AsyncClient(base_url=address, timeout=30, limits=limits) as client:
            streams = [stream(client, "one") for _ in range(MANY)]
            opened = [await each.__aenter__() for each in streams]
            began = time.monotonic()
            for _ in range(10):
                assert (await client.get("/v1/jobs/one")).status_code == 200
            passed = time.monotonic() - began
            jobs.begin("one", "ingest")
            jobs.cancel("one", "Enough.")
            ends = ["".join([text async for text in chunks]) for chunks in opened]
            for each in streams:
                await each.__aexit__(None, None, None)
            return passed, ends

    try:
        passed, ends = asyncio.run(scene())
    finally:
        stop(server)
    assert passed < 5
    assert len(ends) == MANY
    for end in ends:
        assert parsed(end)[-1]["data"]["text"] == "cancelled"


def test_an_idle_stream_says_that_it_lives(jobs, tmp_path, monkeypatch, empty):
    monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.05)

    async def finish():
        await asyncio.sleep(0.3)
        jobs.cancel("one", "Enough.")

    async def scene():
        transport = httpx2.ASGITransport(app=empty.client.app)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1"
        ) as client:
            task = asyncio.create_task(finish())
            response = await client.get("/v1/jobs/one/events")
            await task
            return response.text

    text = asyncio.run(scene())
    assert ": ping\n\n" in text
    assert parsed(text)[-1]["data"]["text"] == "cancelled"
