"""What has its name is on the disk: a power cut leaves it whole or not at all."""

import errno
import os
import stat

import pytest

from evaluation.files import atomic_path, flush, flush_names, make_folder


@pytest.fixture
def flushed(monkeypatch):
    """Inodes that were flushed, and those of what was renamed, in this order."""
    done = []
    fsync, replace = os.fsync, os.replace

    def flush_one(handle):
        done.append(os.fstat(handle).st_ino)
        fsync(handle)

    def replace_one(source, target):
        done.append("renamed")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush_one)
    monkeypatch.setattr(os, "replace", replace_one)
    return done


def inode(path):
    return path.stat().st_ino


def test_a_file_before_its_name_and_the_name_after(tmp_path, flushed):
    with atomic_path(tmp_path / "x.txt") as partial:
        partial.write_text("whole")
    assert flushed == [inode(tmp_path / "x.txt"), "renamed", inode(tmp_path)]


def test_a_folder_with_all_that_is_in_it(tmp_path, flushed):
    with atomic_path(tmp_path / "a") as partial:
        (partial / "b").mkdir(parents=True)
        (partial / "one").write_text("1")
        (partial / "b" / "two").write_text("2")
    before, after = flushed[: flushed.index("renamed")], flushed[flushed.index("renamed") :]
    made = [tmp_path / "a", *(tmp_path / "a").rglob("*")]
    assert sorted(before) == sorted(map(inode, made))
    assert after == ["renamed", inode(tmp_path)]


def test_folders_that_were_not_there(tmp_path, flushed):
    make_folder(tmp_path / "a" / "b")
    assert set(flushed) == {inode(tmp_path), inode(tmp_path / "a")}
    flushed.clear()
    make_folder(tmp_path / "a" / "b")
    assert flushed == []


def test_links_and_pipes_are_left_alone(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
    flush(tmp_path)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_flushes_no_folders(tmp_path, monkeypatch, number):
    def files_only(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, "not supported")

    monkeypatch.setattr(os, "fsync", files_only)
    with atomic_path(tmp_path / "deep" / "x.txt") as partial:
        partial.write_text("whole")
    assert (tmp_path / "deep" / "x.txt").read_text() == "whole"


def test_a_disk_that_fails_is_told(tmp_path, monkeypatch):
    def fails(handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        flush_names(tmp_path)

    def write():
        with atomic_path(tmp_path / "x.txt") as partial:
            partial.write_text("lost")

    with pytest.raises(OSError, match="Input/output") as caught:
        write()
    assert caught.value.filename == str(tmp_path / "x.txt")
    assert list(tmp_path.iterdir()) == []
