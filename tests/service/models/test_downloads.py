"""Versions as archives over HTTP: who gets what, once made, kept for a while, never in half."""

import errno
import hashlib
import os
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from access_samples import keys_of_roles, locked
from service_samples import is_problem

from service.models import downloads
from service.models.downloads import ABANDONED, IMPERSONAL
from service.settings import ServiceSettings

RUN, BUNDLE = "/v1/models/1/run", "/v1/models/1/bundle"


@pytest.fixture
def filled(empty, trained):
    """A service with three versions, the first the champion."""
    for number in range(3):
        empty.services.registry.register(trained, f"job-{number}")
    empty.services.registry.promote(1, "a test", "first")
    return empty


@pytest.fixture(scope="module")
def guarded(trained, tmp_path_factory):
    """A service that needs keys, with a version."""
    home = tmp_path_factory.mktemp("guarded")
    with locked(ServiceSettings.read(home=home, rate="none")) as service:
        service.services.registry.register(trained)
        yield service


@pytest.fixture(scope="module")
def keys(guarded):
    return keys_of_roles(guarded)


def names(answer):
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return set(archive.namelist())


def kept(running):
    """Names of what lies in the cache, hidden ones too."""
    folder = running.settings.home / "cache" / "downloads"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def aged(running, seconds):
    """Let the archives have been asked for that long ago."""
    folder = running.settings.home / "cache" / "downloads"
    for path in folder.iterdir():
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))


def test_only_admins_get_what_tells_of_patients(guarded, keys, trained):
    own = {path.relative_to(trained).as_posix() for path in trained.rglob("*")}
    for role, key in keys.items():
        got = names(guarded.client.get(RUN, headers=key))
        if role == "admin":
            assert {"audit.json", "split.csv", "predictions.parquet"} <= got
        else:
            assert got == own & IMPERSONAL, role
            assert {"model.onnx", "config.json"} <= got
    is_problem(guarded.client.get(RUN), 401)


def test_a_reader_is_not_told_that_the_whole_archive_has_not_changed(guarded, keys):
    whole = guarded.client.get(RUN, headers=keys["admin"])
    again = {**keys["admin"], "If-None-Match": whole.headers["etag"]}
    assert guarded.client.get(RUN, headers=again).status_code == 304
    other = guarded.client.get(RUN, headers=again | keys["viewer"])
    assert other.status_code == 200
    assert other.headers["etag"] != whole.headers["etag"]
    assert {"Authorization", "X-API-Key"} <= set(other.headers["vary"].split(", "))


def test_a_bundle_is_the_same_for_every_role(guarded, keys, trained):
    answers = [guarded.client.get(BUNDLE, headers=key) for key in keys.values()]
    assert len({answer.content for answer in answers}) == 1
    split = (trained / "split.csv").read_text().splitlines()
    patients = {line.split(",")[1] for line in split[1:]}
    with zipfile.ZipFile(BytesIO(answers[0].content)) as archive:
        texts = [
            archive.read(each).decode() for each in archive.namelist() if "models/" not in each
        ]
    assert not [patient for patient in patients for text in texts if f'"{patient}"' in text]


@pytest.mark.parametrize("path", [RUN, BUNDLE])
def test_the_tag_is_made_of_the_bytes(filled, path):
    answer = filled.client.get(path)
    digest = hashlib.sha256(answer.content).hexdigest()[:32]
    assert answer.headers["etag"] == f'"{digest}"'
    twin = filled.client.get(path.replace("/1/", "/2/"))
    assert (twin.content, twin.headers["etag"]) == (answer.content, answer.headers["etag"])
    assert twin.headers["content-disposition"].split('"')[1].startswith("model-2-")


def test_who_has_it_is_not_sent_it_again(filled):
    first = filled.client.get(RUN)
    for asked in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        answer = filled.client.get(RUN, headers={"If-None-Match": asked})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == first.headers["etag"]
    assert filled.client.get(RUN, headers={"If-None-Match": '"other"'}).status_code == 200
    head = filled.client.head(RUN)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(first.content))


def test_a_broken_download_goes_on_where_it_ended(filled):
    whole = filled.client.get(RUN)
    assert whole.headers["accept-ranges"] == "bytes"
    size, tag = len(whole.content), whole.headers["etag"]
    rest = filled.client.get(RUN, headers={"Range": "bytes=1000-", "If-Range": tag})
    assert (rest.status_code, rest.content) == (206, whole.content[1000:])
    assert rest.headers["content-range"] == f"bytes 1000-{size - 1}/{size}"
    # It has changed meanwhile: all of it, not the end of another.
    anew = filled.client.get(RUN, headers={"Range": "bytes=1000-", "If-Range": '"other"'})
    assert (anew.status_code, anew.content) == (200, whole.content)
    beyond = filled.client.get(RUN, headers={"Range": f"bytes={size}-"})
    is_problem(beyond, 416)
    assert beyond.headers["content-range"] == f"bytes */{size}"


def test_what_was_asked_for_longest_ago_goes_first(filled, monkeypatch):
    monkeypatch.setattr("service.models.downloads.KEPT", 2)
    first = filled.client.get(RUN).content
    aged(filled, 30)
    filled.client.get("/v1/models/2/run")
    aged(filled, 30)
    filled.client.get(RUN)  # it is the newest again
    filled.client.get("/v1/models/3/run")
    assert [name.split("-by-")[0] for name in kept(filled)] == [
        "whole-run-of-job-0",
        "whole-run-of-job-2",
    ]
    assert filled.client.get("/v1/models/2/run").content == first
    assert len(kept(filled)) == 2


def test_an_emptied_cache_is_filled_again(filled):
    first = filled.client.get(RUN)
    folder = filled.settings.home / "cache" / "downloads"
    for path in folder.iterdir():
        path.unlink()
    again = filled.client.get(RUN)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])


def test_a_deleted_version_is_forgotten(filled):
    for path in (RUN, BUNDLE):
        filled.client.get(path.replace("/1/", "/2/"))
        filled.client.get(path)
    tag = filled.client.get("/v1/models/2/run").headers["etag"]
    assert filled.client.delete("/v1/models/2").status_code == 204
    assert all("of-job-0" in name for name in kept(filled))
    assert len(kept(filled)) == 2
    is_problem(filled.client.get("/v1/models/2/run", headers={"If-None-Match": tag}), 410)
    is_problem(filled.client.get("/v1/models/2/bundle"), 410)
    assert filled.client.get(RUN).status_code == 200


def test_an_archive_is_made_once_for_all_who_ask_at_once(filled, monkeypatch):
    made, pack, together = [], downloads.pack, threading.Barrier(4)

    def slow(*given):
        made.append(given)
        time.sleep(0.3)
        pack(*given)

    def get(number):
        together.wait(10)
        return filled.client.get(RUN)

    monkeypatch.setattr("service.models.downloads.pack", slow)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(get, range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(made) == len(kept(filled)) == 1


@pytest.mark.parametrize("path", [RUN, BUNDLE])
def test_a_full_disk_leaves_nothing_half_written(filled, monkeypatch, path):
    written = zipfile.ZipFile.open
    entries = []

    def full(archive, name, mode="r", **more):
        if mode == "w":
            entries.append(name)
            if len(entries) == 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        return written(archive, name, mode, **more)

    with monkeypatch.context() as patch:
        patch.setattr("zipfile.ZipFile.open", full)
        answer = filled.client.get(path)
    body = is_problem(answer, 503)
    assert body["type"] == "urn:evenscan:problem:disk-full"
    assert "retry-after" in answer.headers
    assert kept(filled) == []
    assert names(filled.client.get(path))
    assert len(kept(filled)) == 1


def test_what_a_killed_process_left_is_removed(filled):
    folder = filled.settings.home / "cache" / "downloads"
    for name, age in ((".making-dead", ABANDONED + 60), (".making-alive", 60)):
        (folder / name).mkdir(parents=True)
        (folder / name / "packed.zip").write_bytes(b"half")
        then = time.time() - age
        os.utime(folder / name, (then, then))
    filled.client.get(RUN)
    assert [name for name in kept(filled) if name.startswith(".")] == [".making-alive"]
