"""Files that are there whole or not at all, whatever dies and whenever the power goes."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

#: What a file system says that flushes files and no folders.
NO_FOLDERS: Final = (errno.EINVAL, errno.ENOTSUP)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary sibling of ``path`` that takes its place when the block ends well.

    Args:
        path: File or folder to make; its parent is made if it is not there. An existing file is
            replaced; a folder must not exist yet.

    Yields:
        The name to write to. If the block raises, what it holds is removed.

    Raises:
        OSError: The name cannot be written, or the folder exists.
    """
    make_folder(path.parent)
    # The suffix stays at the end: writers choose the format by it.
    partial = path.with_name(f".{path.stem}.{uuid4().hex[:8]}{path.suffix}")
    try:
        yield partial
        flush(partial)
        os.replace(partial, path)
        flush_names(path.parent)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            # A full disk does not say which file it has no room for.
            error.filename = str(path)
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to ``path``, whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, if they are not there; a power cut takes none away.

    Raises:
        OSError: It cannot be made, or is a file.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        flush_names(each.parent)


def flush(path: Path) -> None:
    """Wait until the disk has a file, or a folder with all that is in it.

    It may be renamed then: whenever the power goes, the new name is of all of it. The name
    itself is on the disk after :func:`flush_names` of the folder that it is in.

    Raises:
        OSError: The disk does not take it.
    """
    if not path.is_dir():
        _flush(path)
    for folder, _, names in os.walk(path, topdown=False):
        files = [Path(folder, name) for name in names]
        for file in files:
            if file.is_file() and not file.is_symlink():
                _flush(file)
        flush_names(Path(folder))


def flush_names(folder: Path) -> None:
    """Wait until the disk has the names that a folder holds, where it can be told to.

    Raises:
        OSError: The disk does not take them.
    """
    try:
        _flush(folder)
    except OSError as error:
        if error.errno not in NO_FOLDERS:
            raise


def _flush(path: Path) -> None:
    if os.name != "posix":  # opens no folder, and flushes nothing that was opened to be read
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
