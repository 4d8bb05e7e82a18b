"""A file that lists what an audit rests on, in which a later change of any line is seen."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import Field, model_validator

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from evaluation.settings import Settings
from evaluation.table import file_digest

#: What the first line gives as the hash of the line before it.
START = "0" * 64

_REMEDY = "Take the evidence from where it was archived."
_UTC = r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Entry(Settings):
    """One thing that an audit rests on or gave out.

    Attributes:
        what: Its role, such as ``predictions``, ``policy`` or ``report``.
        name: File name, with ``/`` between folders, relative to the evidence; never upwards.
            Any name of what is not beside it.
        sha256: SHA-256 of its bytes, hexadecimal.
        beside: Whether the file is kept beside the evidence. Of one that is not, such as a
            table elsewhere, only the hash is kept, and it is not looked for.
        time: When, in UTC, such as ``2025-06-30T12:00:00Z``; empty if it is not to be told.
        who: By whom; empty if it is not to be told.
    """

    what: str = Field(min_length=1)
    name: str = Field(min_length=1)
    sha256: Sha256
    beside: bool = True
    time: str = Field(default="", pattern=f"^({_UTC})$")
    who: str = ""

    @model_validator(mode="after")
    def _inside(self) -> Self:
        name = self.name
        path = PurePosixPath(name)
        outside = path.is_absolute() or ".." in path.parts or "\\" in name
        # What is not kept here is never looked for, so any name of it will do.
        if self.beside and (outside or not name.isprintable()):
            raise ValueError("a name is relative to the evidence and does not lead upwards")
        return self

    @classmethod
    def of_file(
        cls, what: str, path: Path, folder: Path, *, time: str = "", who: str = ""
    ) -> Self:
        """Describe a file as it is now.

        Args:
            what: Its role.
            path: Where it is.
            folder: Where the evidence is. A file outside is recorded by its name and hash only.
            time: When, in UTC.
            who: By whom.

        Raises:
            InputError: There is no such file, or its name or the time does not fit.
        """
        if not path.is_file():
            raise InputError(Fault(str(path), "no such file", "Check the path."))
        beside = path.resolve().is_relative_to(folder.resolve())
        name = path.resolve().relative_to(folder.resolve()).as_posix() if beside else path.name
        values = {"what": what, "name": name, "sha256": file_digest(path), "beside": beside}
        return cls.parse(values | {"time": time, "who": who}, str(path))


class Line(Entry):
    """An entry in its place.

    Attributes:
        place: Number of the line, from 1.
        previous: Hash of the line before; 64 zeros in the first.
        hash: SHA-256 of this line without its hash.
    """

    place: int = Field(ge=1)
    previous: Sha256
    hash: Sha256

    def expected(self) -> str:
        """What the hash must be."""
        return hashlib.sha256(_canonical(self, without="hash")).hexdigest()


def append(path: Path, entries: Sequence[Entry]) -> str:
    """Add entries to the evidence, all or none; start it if there is none.

    One writer at a time: of two at once, the last one's file stays.

    Args:
        path: The evidence, such as ``evidence.jsonl``.
        entries: What to add, in this order.

    Returns:
        Hash of the last line. Kept elsewhere, it lets :func:`verify` see a cut end.

    Raises:
        InputError: The chain is broken; the fault names the first broken line. The file is left
            as it is.
    """
    old = _read(path) if path.exists() else b""
    for fault in _chain_faults(old, str(path)):
        raise InputError(fault)
    lines = [_parsed(text) for text in old.splitlines()]
    previous = lines[-1].hash if lines else START
    added = b""
    for place, entry in enumerate(entries, len(lines) + 1):
        line = _chained(entry, place, previous)
        previous = line.hash
        added += _canonical(line) + b"\n"
    if added:
        with atomic_path(path) as partial:
            partial.write_bytes(old + added)
    return previous


def verify(path: Path, folder: Path, last: str | None = None) -> list[Fault]:
    """Check that no line was changed and that the files are still those that were recorded.

    A line that was edited, removed from the middle, added or moved is seen: each line holds the
    hash of the one before. Lines removed from the end are seen only with ``last``. So is a
    chain of which the end, or all, was written anew with hashes that fit: a chain proves what
    came before its last hash, not who wrote it. Keep that hash where the writer of the file
    cannot change it.

    Args:
        path: The evidence.
        folder: Where the recorded files lie. Of a name that is recorded more than once, the
            last entry counts.
        last: Hash of the last line, as :func:`append` returned it.

    Returns:
        Every fault; none if all is as it was.

    Raises:
        InputError: There is no such file.
    """
    content = _read(path)
    faults = list(_chain_faults(content, str(path)))
    lines = [line for text in content.split(b"\n") if (line := _tried(text))]
    if not content:
        faults.append(Fault(str(path), "it holds no evidence", _REMEDY))
    if last is not None and (not lines or lines[-1].hash != last):
        found = "the last line is not the one whose hash was kept"
        faults.append(Fault(str(path), found, _REMEDY))
    latest = {line.name: line for line in lines}
    kept = (line for line in latest.values() if line.beside)
    return faults + [fault for line in kept for fault in _file_faults(line, folder)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        found = f"not readable: {error.strerror}"
        raise InputError(Fault(str(path), found, "Check the path.")) from None


def _canonical(line: Line, without: str = "") -> bytes:
    """The one way to write a line: sorted keys, no spaces, ASCII; what is empty is left out."""
    values = line.model_dump(exclude_defaults=True, exclude={without})
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode("ascii")


def _chained(entry: Entry, place: int, previous: str) -> Line:
    line = Line(**entry.model_dump(), place=place, previous=previous, hash=START)
    return line.model_copy(update={"hash": line.expected()})


def _parsed(text: bytes) -> Line:
    return Line.model_validate(json.loads(text.decode("ascii")), strict=True)


def _tried(text: bytes) -> Line | None:
    try:
        return _parsed(text)
    except (ValueError, RecursionError):
        return None


def _chain_faults(content: bytes, where: str) -> Iterator[Fault]:
    previous = START
    for place, text in enumerate(content.split(b"\n")[:-1], 1):
        line = _tried(text)
        if line is None or _canonical(line) != text:
            yield Fault(where, "it is not a line of evidence", _REMEDY, row=place)
        elif line.hash != line.expected():
            yield Fault(where, "the line was changed", _REMEDY, row=place)
        elif line.place != place or line.previous != previous:
            found = (
                f"it does not follow line {place - 1}" if place > 1 else "it is not the first"
            )
            yield Fault(
                where, f"{found}: lines were removed, added or moved", _REMEDY, row=place
            )
        previous = line.hash if line else previous
    if not content.endswith(b"\n") and content:
        yield Fault(where, "the last line is cut off", _REMEDY, row=content.count(b"\n") + 1)


def _file_faults(line: Line, folder: Path) -> Iterator[Fault]:
    path = folder / line.name
    if not path.is_file():
        yield Fault(str(path), "the recorded file is missing", _REMEDY)
    elif file_digest(path) != line.sha256:
        found = f"it is not the {line.what} that was recorded in line {line.place}"
        yield Fault(str(path), found, _REMEDY)
