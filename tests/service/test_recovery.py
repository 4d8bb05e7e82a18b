"""A worker is killed while it trains. The job goes on from the checkpoint and ends once."""

import re
import signal
import subprocess
import sys

import httpx2
import pandas as pd
import pytest
from service_samples import tiny
from test_processes import environment, start, stop, wait

EPOCHS = 8


@pytest.fixture
def worker(tmp_path, cache):
    """Starts a worker, and stops what was started."""
    started = []

    def launch():
        variables = environment(tmp_path) | {
            "EVENSCAN_POLL_SECONDS": "0.05",
            "EVENSCAN_CACHE": str(cache),
            "EVENSCAN_PROGRESS_SECONDS": "0",
        }
        log = (tmp_path / f"worker-{len(started)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "worker"], env=variables, stderr=log
        )
        log.close()
        started.append(process)
        return process

    yield launch
    for process in started:
        process.kill()
        process.wait()


def test_a_killed_worker_goes_on_from_its_checkpoint(worker, tmp_path):
    killed = worker()
    server, address = start(tmp_path, "--no-worker")
    try:
        config = tiny(method={"name": "erm", "epochs": EPOCHS, "batch_size": 2})
        accepted = httpx2.post(f"{address}/v1/retrain", json=config, timeout=60)
        assert accepted.status_code == 202, accepted.text
        location = address + accepted.json()["location"]
        place = tmp_path / "jobs" / accepted.json()["job"]

        wait(lambda: list(place.glob(".*/checkpoint.safetensors")))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        before = httpx2.get(location).json()
        assert before["state"] == "running"
        epoch = int(re.search(r"epoch (\d+) of", before["step"]).group(1))
        assert epoch < EPOCHS

        worker()
        steps = []

        def ended():
            job = httpx2.get(location).json()
            steps.append(job["step"])
            return job["state"] not in ("queued", "running")

        wait(ended, seconds=60)
        job = httpx2.get(location).json()
        assert job["state"] == "succeeded", job
        assert [m["version"] for m in httpx2.get(f"{address}/v1/models").json()["models"]] == [
            1
        ]
        [move] = httpx2.get(f"{address}/v1/models/1").json()["moves"]
        assert (move["who"], move["audit"]) == (f"job {job['id']}", job["id"])
        assert job["reason"] == "Promoted with no champion to compare with: PASS."
        assert [path.name for path in (tmp_path / "models").iterdir()] == ["1"]
        assert list((tmp_path / "jobs").iterdir()) == []

        # No epoch was trained again but the one that was cut off.
        history = pd.read_csv(tmp_path / "models" / "1" / "history.csv")
        assert history["epoch"].tolist() == list(range(1, EPOCHS + 1))
        again = [int(n) for step in steps for n in re.findall(r"epoch (\d+) of", step)]
        assert all(number >= epoch for number in again), (epoch, again)
    finally:
        stop(server)
