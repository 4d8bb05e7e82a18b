"""Several processes that answer: one address, one set of numbers, and none that is missed."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from service_samples import png, promoted

from service.models.registry import ModelRegistry
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import LocalStore

METRIC = "evenscan_predictions_total"


@pytest.fixture
def home(trained, tmp_path):
    settings = ServiceSettings.read(home=tmp_path)
    database = Database.opened(settings.database)
    promoted(ModelRegistry(database, LocalStore(tmp_path), tmp_path / "models"), trained)
    database.close()
    return tmp_path


@contextmanager
def serving(home, **variables):
    given = {k: v for k, v in os.environ.items() if not k.startswith("EVENSCAN_")}
    command = [sys.executable, "-m", "service", "serve", "--open", "--no-worker"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--processes", "2"],
        env=given | {"EVENSCAN_HOME": str(home), "OMP_NUM_THREADS": "1"} | variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("Evenscan listens on"), line
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.communicate()


def children(process):
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return {int(each) for task in tasks for each in (task / "children").read_text().split()}


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(numbers):
    return all(not Path(f"/proc/{number}/fd").exists() for number in numbers)


def ask(address):
    answer = httpx2.post(f"{address}/v1/predictions", files={"images": ("a.png", png())})
    return answer.status_code


def told(address):
    return httpx2.get(f"{address}/metrics").text


def predicted(address):
    lines = told(address).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(METRIC))


def test_both_answer_and_their_numbers_are_added_up(home):
    with serving(home) as (process, address), ThreadPoolExecutor(4) as pool:
        assert len(children(process)) == 2
        assert set(pool.map(ask, [address] * 40)) == {200}
        # whichever process is asked
        assert {predicted(address) for _ in range(10)} == {40}
        assert "evenscan_build_info" in told(address)
        # a request is over some moments after its answer
        until(lambda: "evenscan_images_waiting 0.0" in told(address))
        until(lambda: "evenscan_requests_in_flight 1.0" in told(address))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_one_that_is_killed_is_missed_by_nobody_and_comes_again(home):
    with serving(home) as (process, address):
        assert ask(address) == 200
        before = children(process)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: gone([min(before)]))
        assert [ask(address) for _ in range(5)] == [200] * 5
        until(lambda: len(children(process) - before) == 1)
        until(lambda: predicted(address) == 6)  # what the dead one counted is not lost


def test_they_outlive_who_watches_over_them_in_no_case(home):
    with serving(home) as (process, _):
        numbers = children(process)
        process.kill()
        until(lambda: gone(numbers), seconds=20)
