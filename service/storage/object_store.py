"""Finished folders in a store that speaks S3, with copies on this machine."""

import errno
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from service.storage.store import Store, StoreUnavailable

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ClientConfig, RetryConfig, S3Config

#: Files that are sent or fetched at once.
LANES: Final = 8

#: Pieces in which a file is fetched, in bytes.
PIECE: Final = 8 * 2**20

#: A request is tried again for so long; who waits for an answer is told the truth after.
RETRIES: Final["RetryConfig"] = {"max_retries": 4, "retry_timeout": timedelta(seconds=15)}

#: What is half sent or half fetched may still be on its way until it is so old.
LEFT_ALONE: Final = timedelta(days=1)


class ObjectStore(Store):
    """Folders in a bucket.

    The files of a folder are at ``files/NAME/TOKEN/``, where each keeping draws a new token. A
    manifest at ``manifests/NAME.json`` says which token counts, and which files of what size
    there are. It is written last and removed first, so a folder is there whole or not at all.

    Copies on this machine are used without asking the store, since what a name holds never
    changes. Those of names that were removed elsewhere go when something is fetched next.
    """

    def __init__(self, url: str, copies: Path, endpoint: str = "") -> None:
        """Use a bucket.

        Args:
            url: ``s3://BUCKET/PREFIX``. Credentials and region come from the variables AWS_*.
            copies: Folder for copies; it is made when there is one.
            endpoint: Address of a store that is not Amazon's.
        """
        options: ClientConfig = {"allow_http": endpoint.startswith("http://")}
        place: S3Config = {"endpoint": endpoint} if endpoint else {}
        self.bucket = S3Store.from_url(
            url, config=place, client_options=options, retry_config=RETRIES
        )
        self.copies = copies

    def keep(self, name: str, folder: Path) -> None:
        """Send a folder, then remove it here.

        Raises:
            ValueError: It holds something that is neither a file nor a folder.
            StoreUnavailable: The store does not answer. The folder is still there.
        """
        token = uuid4().hex
        files = sorted(_files(folder), key=str)
        with _available(f"'{name}' could not be kept"):
            _each(lambda file: self._send(file, f"files/{name}/{token}/{file}", folder), files)
            sizes = {file.as_posix(): (folder / file).stat().st_size for file in files}
            manifest = json.dumps({"token": token, "files": sizes}).encode()
            obstore.put(self.bucket, f"manifests/{name}.json", manifest)
            self._remove_files(name, but=token)
        shutil.rmtree(self.copies / name, ignore_errors=True)
        shutil.rmtree(folder)

    def folder(self, name: str) -> Path:
        """Its copy here, fetched if there is none.

        Raises:
            LookupError: There is no such folder in the store.
            StoreUnavailable: The store does not answer.
        """
        copy = self.copies / name
        if not copy.is_dir():
            self._drop_copies()
            self._fetch(name, copy)
        return copy

    def remove(self, name: str) -> None:
        """Remove a folder, if it is there.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        with _available(f"'{name}' could not be removed"):
            with suppress(NotFoundError):  # some stores say so
                obstore.delete(self.bucket, f"manifests/{name}.json")
            self._remove_files(name)
        shutil.rmtree(self.copies / name, ignore_errors=True)

    def names(self, prefix: str) -> Sequence[str]:
        """Names of the folders there, sorted.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        with _available(f"'{prefix}' could not be listed"):
            place = f"manifests/{prefix}/"
            found = obstore.list_with_delimiter(self.bucket, prefix=place)["objects"]
        paths = (_inside(item["path"], place) for item in found)
        return sorted(f"{prefix}/{path.removesuffix('.json')}" for path in paths)

    def _send(self, file: Path, key: str, folder: Path) -> None:
        obstore.put(self.bucket, key, folder / file)

    def _fetch(self, name: str, copy: Path) -> None:
        """Copy a folder to its place here, at once when it is whole."""
        with _available(f"'{name}' could not be fetched"):
            manifest = json.loads(bytes(self._get(f"manifests/{name}.json", name).bytes()))
            coming = copy.with_name(f".incoming-{uuid4().hex}")
            coming.mkdir(parents=True)
            try:
                source = f"files/{name}/{manifest['token']}"
                files = manifest["files"].items()
                _each(lambda item: self._receive(name, source, coming, *item), files)
                with _unless_there():
                    coming.rename(copy)
            finally:
                shutil.rmtree(coming, ignore_errors=True)

    def _receive(self, name: str, source: str, folder: Path, file: str, size: int) -> None:
        place = folder / file
        if not place.resolve().is_relative_to(folder.resolve()):
            raise StoreUnavailable(f"the manifest of '{name}' leads out of its folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as out:
            for piece in self._get(f"{source}/{file}", name).stream(min_chunk_size=PIECE):
                out.write(piece)
        if place.stat().st_size != size:
            raise StoreUnavailable(f"a file of '{name}' did not arrive whole")

    def _get(self, key: str, name: str) -> "GetResult":
        try:
            return obstore.get(self.bucket, key)
        except (NotFoundError, FileNotFoundError):
            raise LookupError(f"there is no folder '{name}'") from None

    def _remove_files(self, name: str, but: str = "") -> None:
        """Remove files of a name.

        Args:
            name: The folder.
            but: Token that counts; of the others, young ones are left alone. Empty: none
                counts, and all are removed.
        """
        place = f"files/{name}/"
        young = datetime.now(UTC) - LEFT_ALONE
        for page in obstore.list(self.bucket, prefix=place):
            paths = [
                item["path"]
                for item in page
                if not but
                or (
                    not _inside(item["path"], place).startswith(f"{but}/")
                    and item["last_modified"] < young
                )
            ]
            if paths:
                obstore.delete(self.bucket, paths)

    def _drop_copies(self) -> None:
        """Drop copies of what was removed by another machine, and what was never whole."""
        for group in self.copies.glob("[!.]*"):
            copies = list(group.glob("[!.]*"))  # what comes after the list is in use
            there = set(self.names(group.name))
            for copy in copies:
                if f"{group.name}/{copy.name}" not in there:
                    shutil.rmtree(copy, ignore_errors=True)
        for half in self.copies.glob("*/.incoming-*"):
            with suppress(FileNotFoundError):  # it is whole now
                begun = datetime.fromtimestamp(half.stat().st_mtime, UTC)
                if begun < datetime.now(UTC) - LEFT_ALONE:
                    shutil.rmtree(half, ignore_errors=True)


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it, relative to it."""
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(f"{path} is neither a file nor a folder")
        if path.is_file():
            yield path.relative_to(folder)


def _inside(path: str, place: str) -> str:
    """A path below a place of the bucket, with or without the store's own prefix."""
    return path.partition(place)[2]


def _each(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    with ThreadPoolExecutor(LANES) as lanes:
        for _ in lanes.map(work, items):
            pass


@contextmanager
def _unless_there() -> Iterator[None]:
    """A folder whose name is taken is not renamed: another process was faster."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


@contextmanager
def _available(failed: str) -> Iterator[None]:
    """Say what failed, without the store's own words, which hold addresses and keys."""
    try:
        yield
    except BaseError as error:
        raise StoreUnavailable(f"{failed}: {type(error).__name__}") from error
