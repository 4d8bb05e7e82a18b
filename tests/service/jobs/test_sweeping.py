"""What is swept: what dead processes have left, and nothing that somebody uses."""

import os
import shutil
import time
from pathlib import Path

import pytest
from workflow_samples import Bench

from service.jobs import sweeping
from service.jobs.sweeping import LEFT_ALONE, Sweeping


@pytest.fixture
def bench(settings):
    """A home with a worker's parts."""
    made = Bench(settings)
    yield made
    made.database.close()


def left(folder, seconds):
    """A folder with a file, changed so many seconds ago."""
    folder.mkdir(parents=True)
    (folder / "part-0").write_bytes(b"image")
    os.utime(folder, (time.time() - seconds,) * 2)
    return folder


@pytest.mark.parametrize("kind", ["cohorts", "uploads", "models", "audits"])
def test_what_a_broken_off_removal_has_left_goes(bench, monkeypatch, kind):
    store = bench.place.store
    store.keep(f"{kind}/a", left(bench.place.layout.jobs / "work", 0))

    def killed(path, **more):
        if Path(path).exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            store.remove(f"{kind}/a")
    [gone] = (bench.place.settings.home / kind).iterdir()
    os.utime(gone, (time.time() - LEFT_ALONE - 1,) * 2)
    Sweeping(bench.place).sweep()
    assert not gone.exists()


def test_an_upload_that_is_being_sent_stays_for_long(bench):
    uploads = bench.place.layout.uploads
    young = 2 * bench.place.settings.check_seconds
    sent = left(uploads / ".job-1", young + 5)
    dead = left(uploads / ".job-2", LEFT_ALONE + 5)
    lost = left(uploads / "job-3", young + 5)
    Sweeping(bench.place).sweep()
    assert sent.exists()
    assert not dead.exists()
    assert not lost.exists()


def test_an_upload_that_took_long_to_reach_the_disk_is_young(bench):
    folder = left(bench.place.layout.uploads / ".job-1", 2 * LEFT_ALONE)
    bench.place.store.keep("uploads/job-1", folder)
    Sweeping(bench.place).sweep()
    assert (bench.place.layout.uploads / "job-1").exists()


def test_what_vanishes_meanwhile_stops_nothing(bench, monkeypatch):
    layout = bench.place.layout
    taken = [left(layout.uploads / "taken", 9), left(layout.models / ".taken", 9)]
    old = [left(layout.uploads / "old", 9e8), left(layout.models / ".old", 9e8)]
    age = sweeping._age

    def taken_before(path):
        if path in taken:
            shutil.rmtree(path)
        return age(path)

    monkeypatch.setattr(sweeping, "_age", taken_before)
    Sweeping(bench.place).sweep()
    assert not any(path.exists() for path in old)
