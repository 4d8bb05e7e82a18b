"""Finished folders: whole or not at all, the same below the home and in a bucket."""

import os
import shutil
import threading
import time
from pathlib import Path

import obstore
import pytest
from workflow_samples import Bench

from service.jobs.sweeping import Sweeping
from service.settings import ServiceSettings
from service.storage.object_store import LEFT_ALONE, ObjectStore
from service.storage.store import LocalStore, StoreUnavailable, open_store

FILES = {
    "model.onnx": bytes(range(256)) * 100,
    "images/a b%20#?.png": b"1",
    "images/größe+.txt": b"",
    "images/deep/er/x": b"2",
}


def settings_of(home, request):
    if request.param == "local":
        return ServiceSettings.read(home=home)
    name, endpoint = request.getfixturevalue("bucket"), request.getfixturevalue("s3")
    return ServiceSettings.read(
        home=home, store_url=f"s3://{name}/some/prefix", store_endpoint=endpoint
    )


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    return open_store(settings_of(tmp_path / "home", request))


@pytest.fixture
def other(bucket, s3, tmp_path):
    """The same bucket seen by two machines."""
    return [
        ObjectStore(f"s3://{bucket}", tmp_path / f"copies-{machine}", s3) for machine in "ab"
    ]


def made(folder, files=FILES):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def work(tmp_path):
    """Where folders are made: on the disk of the home, as a local store needs."""
    (tmp_path / "home").mkdir(exist_ok=True)
    return tmp_path / "home" / "jobs" / "a"


def test_what_is_kept_is_found(store, work):
    store.keep("models/3", made(work))
    assert not work.exists()
    assert content(store.folder("models/3")) == FILES
    assert content(store.folder("models/3")) == FILES


def test_what_is_not_there(store):
    with pytest.raises(LookupError, match="'models/3'"):
        store.folder("models/3")
    store.remove("models/3")
    assert list(store.names("models")) == []


def test_names(store, work):
    for name in ("models/10", "models/9", "audits/a", "cohorts/ham10000-3f9a0c12ab34"):
        store.keep(name, made(work))
    assert list(store.names("models")) == ["models/10", "models/9"]
    assert list(store.names("cohorts")) == ["cohorts/ham10000-3f9a0c12ab34"]
    assert list(store.names("model")) == []


def test_removed(store, work):
    for name in ("models/1", "models/10"):
        store.keep(name, made(work))
    store.remove("models/1")
    with pytest.raises(LookupError):
        store.folder("models/1")
    assert list(store.names("models")) == ["models/10"]
    assert content(store.folder("models/10")) == FILES


def test_what_a_dead_process_has_left_is_replaced(store, work):
    store.keep("models/3", made(work))
    store.folder("models/3")
    store.keep("models/3", made(work, {"other": b"3"}))
    assert content(store.folder("models/3")) == {"other": b"3"}


def test_a_local_folder_is_moved_and_not_copied(tmp_path, work):
    inode = (made(work) / "model.onnx").stat().st_ino
    store = LocalStore(tmp_path / "home")
    store.keep("models/3", work)
    assert (store.folder("models/3") / "model.onnx").stat().st_ino == inode


def test_a_local_folder_is_on_the_disk_before_a_row_says_so(tmp_path, work, monkeypatch):
    """Its content before it has its name, and its name before anybody is told."""
    made(work)
    wanted = {path.stat().st_ino for path in (work, *work.rglob("*"))}
    flushed, fsync, rename = [], os.fsync, Path.rename

    def flush(handle):
        flushed.append(os.fstat(handle).st_ino)
        fsync(handle)

    def named(path, target):
        assert wanted <= set(flushed)
        flushed.clear()
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "rename", named)
    LocalStore(tmp_path / "home").keep("models/3", work)
    assert flushed == [(tmp_path / "home" / "models").stat().st_ino]


def test_nothing_is_there_before_all_of_it_is(other, work, monkeypatch):
    here, there = other
    made(work)
    send = ObjectStore._send

    def breaks(self, file, key, folder):
        if file.name == "x":
            raise StoreUnavailable("the line is cut")
        send(self, file, key, folder)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "_send", breaks)
        with pytest.raises(StoreUnavailable):
            here.keep("models/3", work)
    assert content(work) == FILES
    assert list(there.names("models")) == []
    with pytest.raises(LookupError):
        there.folder("models/3")
    here.keep("models/3", work)
    assert content(there.folder("models/3")) == FILES


def test_a_folder_that_is_fetched_half_is_not_there(other, work, monkeypatch):
    here, there = other
    here.keep("models/3", made(work))
    receive = ObjectStore._receive

    def full(self, name, source, folder, file, size):
        if file == "model.onnx":
            raise OSError(28, "No space left on device")
        receive(self, name, source, folder, file, size)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "_receive", full)
        with pytest.raises(OSError, match="No space left"):
            there.folder("models/3")
    assert list((there.copies / "models").iterdir()) == []
    assert content(there.folder("models/3")) == FILES


def test_many_may_fetch_at_once(other, work):
    here, there = other
    here.keep("models/3", made(work))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(content(there.folder("models/3"))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [FILES] * 4
    assert [path.name for path in (there.copies / "models").iterdir()] == ["3"]


def test_a_fetch_that_another_process_wins(other, work, monkeypatch):
    here, there = other
    here.keep("models/3", made(work))
    rename = Path.rename

    def late(path, target):
        shutil.copytree(path, target)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    assert content(there.folder("models/3")) == FILES
    assert [path.name for path in (there.copies / "models").iterdir()] == ["3"]


def test_a_copy_that_comes_while_others_are_dropped_stays(other, work, monkeypatch):
    here, there = other
    for name in ("cohorts/a", "cohorts/b"):
        here.keep(name, made(work))
    there.folder("cohorts/a")
    names = ObjectStore.names

    def listed_before(self, prefix):
        found = names(self, prefix)
        here.keep("cohorts/c", made(work))
        there._fetch("cohorts/c", there.copies / "cohorts" / "c")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "names", listed_before)
        there.folder("cohorts/b")
    assert content(there.copies / "cohorts" / "c") == FILES


def test_what_a_fetch_that_died_has_left_goes_in_time(other, work, monkeypatch):
    here, there = other
    for name in ("cohorts/a", "cohorts/b"):
        here.keep(name, made(work))
    made(there.copies / "cohorts" / ".incoming-dead")
    there.folder("cohorts/a")
    assert (there.copies / "cohorts" / ".incoming-dead").exists()  # it may still be coming
    monkeypatch.setattr("service.storage.object_store.LEFT_ALONE", -LEFT_ALONE)
    there.folder("cohorts/b")
    assert {path.name for path in (there.copies / "cohorts").iterdir()} == {"a", "b"}


def test_what_was_removed_elsewhere_leaves_no_copy(other, work):
    here, there = other
    for name in ("cohorts/a", "cohorts/b"):
        here.keep(name, made(work))
    there.folder("cohorts/a")
    here.remove("cohorts/a")
    there.folder("cohorts/b")
    assert [path.name for path in (there.copies / "cohorts").iterdir()] == ["b"]


def test_files_of_a_keeping_that_died_are_removed_by_the_next(other, work, monkeypatch):
    here, _ = other
    obstore.put(here.bucket, "files/models/3/dead/x", b"1")
    here.keep("models/3", made(work))
    assert "files/models/3/dead/x" in keys(here)  # young: it may still be on its way
    monkeypatch.setattr("service.storage.object_store.LEFT_ALONE", -LEFT_ALONE)
    here.keep("models/3", made(work))
    assert "files/models/3/dead/x" not in keys(here)
    assert len(keys(here)) == len(FILES) + 1
    here.remove("models/3")
    assert keys(here) == []


def keys(store):
    return [item["path"] for page in obstore.list(store.bucket) for item in page]


def test_uploads_of_a_request_that_died_are_removed_in_time(bucket, s3, tmp_path):
    settings = ServiceSettings.read(
        home=tmp_path / "home",
        store_url=f"s3://{bucket}",
        store_endpoint=s3,
        check_seconds=0.1,
    )
    bench = Bench(settings)
    sweeping = Sweeping(bench.place)
    store = bench.place.store
    bench.retraining({}, job="taken")
    for name in ("uploads/lost", "uploads/taken"):
        store.keep(name, made(tmp_path / "work"))
    sweeping.sweep()  # it may still become a job
    assert store.names("uploads") == ["uploads/lost", "uploads/taken"]
    time.sleep(0.3)
    sweeping.sweep()
    assert store.names("uploads") == ["uploads/taken"]
    bench.database.close()


def test_links_are_not_followed_into_the_bucket(other, work):
    here, _ = other
    (made(work) / "link").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        here.keep("models/3", work)


def test_a_store_that_does_not_answer(tmp_path, monkeypatch, bucket, work):
    monkeypatch.setattr("service.storage.object_store.RETRIES", {"max_retries": 0})
    store = ObjectStore(f"s3://{bucket}", tmp_path / "copies", "http://127.0.0.1:9")
    made(work)
    with pytest.raises(StoreUnavailable, match="'models/3' could not be kept"):
        store.keep("models/3", work)
    assert work.exists()
    for ask in (store.folder, store.remove, store.names):
        with pytest.raises(StoreUnavailable) as refused:
            ask("models/3")
        assert "127.0.0.1" not in str(refused.value)
    shutil.rmtree(work)
