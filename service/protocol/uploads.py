"""Forms whose files are written to the home's disk as they come, and are never in memory."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from anyio import CancelScope
from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

#: Files of a form.
MOST_FILES: Final = 1000

#: After how long nobody writes to a folder any more that a dead process has left, in seconds.
LEFT_ALONE: Final = 86_400.0


class Receiving(MultiPartParser):
    """Writes each file of a form into a folder: ``part-0``, ``part-1`` and so on."""

    def __init__(self, request: Request, folder: Path) -> None:
        """Read a request's body."""
        super().__init__(request.headers, request.stream(), max_files=MOST_FILES)
        self.folder = folder

    def on_headers_finished(self) -> None:
        """Open the file of a part on the disk."""
        super().on_headers_finished()
        if (upload := self._current_part.file) is not None:
            upload.file.close()
            path = self.folder / f"part-{self._current_files - 1}"
            upload.file = path.open("w+b")
            self._files_to_close_on_error.append(upload.file)  # type: ignore[arg-type]

    def close(self) -> None:
        """Close what is open. On a full disk a file cannot write what it still holds."""
        for file in self._files_to_close_on_error:
            with suppress(OSError):
                file.close()


@asynccontextmanager
async def receiving(home: Path) -> AsyncIterator[Path]:
    """A folder to receive files in; what is left in it at the end is removed."""
    folder = home / "receiving" / uuid4().hex
    try:
        await run_in_threadpool(_begin, folder)
        yield folder
    finally:
        with CancelScope(shield=True):  # also if whoever sends has gone
            await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


def _begin(folder: Path) -> None:
    """Make a folder, and remove those beside it that dead processes have left."""
    for old in folder.parent.glob("*"):
        with suppress(FileNotFoundError):  # other requests come to their end meanwhile
            if time.time() - max(p.stat().st_mtime for p in (old, *old.iterdir())) > LEFT_ALONE:
                shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True)


async def receive(request: Request, folder: Path) -> FormData:
    """The form of a request, its files in a folder and closed.

    Raises:
        HTTPException: 400, the body is no such form.
    """
    parser = Receiving(request, folder)
    try:
        form = await parser.parse()
        await form.close()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    finally:
        parser.close()
    return form
