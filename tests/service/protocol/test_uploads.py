"""Folders that forms are received in, while other requests come and go."""

import asyncio
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from anyio import CancelScope, sleep_forever

from service.protocol.uploads import LEFT_ALONE, receiving


@pytest.fixture
def home(tmp_path):
    """A home where requests have received before."""
    (tmp_path / "receiving").mkdir()
    return tmp_path


def left(folder, seconds):
    """A folder with a file, both changed so many seconds ago."""
    folder.mkdir()
    (folder / "part-0").write_bytes(b"image")
    for path in (folder / "part-0", folder):
        os.utime(path, (time.time() - seconds,) * 2)
    return folder


def received(home):
    """What there is beside the folder of a request, while it is received."""

    async def request():
        async with receiving(home) as folder:
            assert folder.is_dir()
            (folder / "part-0").write_bytes(b"image")
            return {path.name for path in folder.parent.iterdir()} - {folder.name}

    return asyncio.run(request())


def test_what_dead_processes_left_goes_in_time(home):
    left(home / "receiving" / "dead", LEFT_ALONE + 5)
    left(home / "receiving" / "slow", LEFT_ALONE - 5)
    assert received(home) == {"slow"}
    assert [path.name for path in (home / "receiving").iterdir()] == ["slow"]


@pytest.mark.parametrize("call", ["iterdir", "stat"])
def test_others_that_end_meanwhile_are_no_fault(home, monkeypatch, call):
    taken = left(home / "receiving" / "taken", 5)
    left(home / "receiving" / "dead", LEFT_ALONE + 5)
    real = getattr(Path, call)

    def taken_before(path, **more):
        if path == taken and path.parent.name == "receiving":
            shutil.rmtree(taken, ignore_errors=True)
        return real(path, **more)

    monkeypatch.setattr(Path, call, taken_before)
    assert received(home) == set()


def test_the_event_loop_does_not_wait_for_the_disk(home, monkeypatch):
    left(home / "receiving" / "dead", LEFT_ALONE + 5)
    threads, remove = [], shutil.rmtree

    def seen(*given, **more):
        threads.append(threading.current_thread())
        remove(*given, **more)

    monkeypatch.setattr(shutil, "rmtree", seen)
    assert received(home) == set()
    assert len(threads) == 2
    assert threading.main_thread() not in threads


def test_a_request_that_is_given_up_leaves_nothing(home):
    async def request():
        with CancelScope() as scope:
            async with receiving(home):
                scope.cancel()
                await sleep_forever()

    asyncio.run(request())
    assert list((home / "receiving").iterdir()) == []
