"""Zips of strangers."""

import errno
import os
import shutil
import stat
import struct
import tracemalloc
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile, ZipInfo

import pytest
from cohort_samples import images, picture, zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluation.errors import InputError
from service.cohort.archive import unpack
from service.cohort.archive_list import Bounds

BOUNDS = Bounds(total=10 * 2**20, each=4 * 2**20, files=100)


@pytest.fixture
def tmp_path(tmp_path):
    """A folder whose parent is this test's own too, so that what strays there is seen."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def unpacked(tmp_path, *archives, bounds=BOUNDS):
    paths = []
    for k, data in enumerate(archives):
        path = tmp_path / f"{k}"
        path.write_bytes(data)
        paths.append((path, f"{k}.zip"))
    return unpack(paths, tmp_path / "out", bounds)


def refused(tmp_path, *archives, **more):
    before = sorted(path for path in tmp_path.parent.rglob("*") if path.parent != tmp_path)
    with pytest.raises(InputError) as error:
        unpacked(tmp_path, *archives, **more)
    assert not (tmp_path / "out").exists()
    after = sorted(path for path in tmp_path.parent.rglob("*") if path.parent != tmp_path)
    assert before == after
    return str(error.value)


def member(name, data=None, **changes):
    info = ZipInfo("x")
    info.filename = name
    for key, value in changes.items():
        setattr(info, key, value)
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr(info, picture(1) if data is None else data)
    return file.getvalue()


def test_good_zips_are_unpacked(tmp_path):
    one = zipped({"a/b.png": picture(1), "notes.txt": b"hello", "__MACOSX/x": b"mac"})
    made = unpacked(tmp_path, one, zipped({"c.png": picture(2)}))
    assert (made.files, made.passed_over) == (2, 1)
    assert (tmp_path / "out" / "a" / "b.png").read_bytes() == picture(1)
    assert not (tmp_path / "out" / "notes.txt").exists()


@pytest.mark.parametrize(
    "name",
    ["../x.png", "/x.png", "a/../../x.png", "C:x.png", "a\\x.png", "a\nb.png", "x" * 999],
)
def test_names_that_lead_elsewhere(tmp_path, name):
    assert "its name" in refused(tmp_path, member(name))


def test_a_name_with_nul(tmp_path):
    data = member("aaaa.png").replace(b"aaaa.png", b"aa\0a.png")
    assert "its name" in refused(tmp_path, data)


def renamed(monkeypatch, name):
    """Zips name their files otherwise in an extra field, which Python reads from 3.12 on."""
    monkeypatch.setattr(
        ZipInfo, "_decodeExtra", lambda info, *crc: info.__setattr__("filename", name)
    )


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "a\nb.png"])
def test_second_names_that_lead_elsewhere(tmp_path, monkeypatch, name):
    renamed(monkeypatch, name)
    assert "its name" in refused(tmp_path, member("a.png"))


def test_second_names_in_the_words_of_the_packer(tmp_path, monkeypatch):
    renamed(monkeypatch, "größe.png")
    assert unpacked(tmp_path, member("gr_e.png")).files == 1
    assert (tmp_path / "out" / "größe.png").read_bytes() == picture(1)


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "a/..", "."])
def test_nothing_is_written_elsewhere_whatever_the_lists_say(tmp_path, monkeypatch, name):
    monkeypatch.setattr("service.cohort.archive.list_faults", lambda *rest: [])
    assert "damaged" in refused(tmp_path, member(name))


@pytest.mark.parametrize("names", [("a", "a/b.png"), ("a/b.png", "a")])
def test_a_file_and_a_folder_of_one_name(tmp_path, names):
    archive = zipped({name: picture(k) for k, name in enumerate(names)})
    assert "a file and a folder have one name" in refused(tmp_path, archive)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices(tmp_path, mode):
    attributes = (mode | 0o777) << 16
    data = member("x.png", external_attr=attributes, create_system=3)
    assert "a link or a device" in refused(tmp_path, data)


def test_encrypted(tmp_path):
    data = bytearray(member("x.png"))
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    assert "encrypted" in refused(tmp_path, bytes(data))


def test_unusual_compression(tmp_path):
    assert "unusual" in refused(tmp_path, zipped({"x.png": picture(1)}, ZIP_LZMA))


def test_bombs(tmp_path):
    zeros = picture(1) + bytes(3 * 2**20)
    assert "it grows more than 200 times" in refused(tmp_path, zipped({"x.png": zeros}))
    assert "it has 5 MiB" in refused(tmp_path, zipped({"x.png": os.urandom(5 * 2**20)}))
    noise = {f"{k}.png": picture(1) + os.urandom(3 * 2**20) for k in range(4)}
    assert "too much in it" in refused(tmp_path, zipped(noise))
    many = zipped({f"{k}.png": b"" for k in range(101)})
    assert "At most 100 files" in refused(tmp_path, many)


def test_a_list_that_lies_about_sizes(tmp_path):
    data = bytearray(zipped({"x.png": picture(1) + bytes(900_000)}))
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 100)
    struct.pack_into("<I", data, data.find(b"PK\x03\x04") + 22, 100)
    tracemalloc.start()
    said = refused(tmp_path, bytes(data))
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
    assert "larger than it says" in said or "damaged" in said


def test_overlapping_files(tmp_path):
    data = bytearray(zipped({"a.png": picture(1), "b.png": picture(2)}))
    first = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", first + 4)
    struct.pack_into("<I", data, second + 42, 0)
    assert "overlaps" in refused(tmp_path, bytes(data))


def test_archives_within(tmp_path):
    inner = zipped({"x.png": picture(1)})
    assert "an archive itself" in refused(tmp_path, zipped({"x.png": inner}))


def test_the_same_name_twice_also_by_case(tmp_path):
    one, other = zipped({"a.png": picture(1)}), zipped({"A.PNG": picture(1)})
    assert "also that of" in refused(tmp_path, one, other)


def test_truncated_and_damaged(tmp_path):
    data = zipped(images())
    assert "truncated" in refused(tmp_path, data[:-30])
    assert "truncated" in refused(tmp_path, b"")
    broken = bytearray(data)
    broken[200] ^= 0xFF
    assert "damaged" in refused(tmp_path, bytes(broken))


def test_all_faults_are_told_up_to_a_number(tmp_path):
    data = zipped({f"../{k}.png": b"" for k in range(30)})
    said = refused(tmp_path, data)
    assert said.count("leads out of the folder") == 20
    assert "10 more of this kind" in said


def test_a_list_too_large_to_read(tmp_path):
    data = bytearray(zipped({"a.png": picture(1)}))
    struct.pack_into("<I", data, data.rfind(b"PK\x05\x06") + 12, 2**31)
    assert "its list of files has 2,048 MiB" in refused(tmp_path, bytes(data))


def test_a_full_disk(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
        assert "no room" in refused(tmp_path, zipped(images()))

    real = Path.open

    def full(path, mode="r", *rest, **more):
        if "out" in path.parts and mode == "wb":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", full)
    assert "no room" in refused(tmp_path, zipped(images()))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_changed_it_is_unpacked_or_refused(tmp_path, data):
    good = bytearray(zipped({"a.png": picture(1)[:200], "b/c.png": picture(2)[:200]}))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        unpacked(tmp_path, bytes(good))
    except InputError:
        assert not (tmp_path / "out").exists()
