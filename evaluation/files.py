"""Files that are there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


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
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays at the end: writers choose the format by it.
    partial = path.with_name(f".{path.stem}.{uuid4().hex[:8]}{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
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
