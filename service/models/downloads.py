"""Archives of model versions to be downloaded, made once and kept for a while."""

import hashlib
import os
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

from evaluation.files import atomic_path
from service.models.registry import ModelRegistry
from service.storage.tables import ModelVersion
from training.bundle import write_bundle

#: Files of a run directory that tell of no patient and no sample. Whatever else is there, now
#: or in a later version, is for admins: splits, predictions, embeddings, counterfactuals and
#: pictures name or show samples, and audits do in parts; their routes serve them by scope.
IMPERSONAL: Final = frozenset(
    {
        "cohort.json",
        "config.json",
        "contract.json",
        "decoder.onnx",
        "environment.json",
        "history.csv",
        "model.onnx",
        "outliers.npz",
        "weights.safetensors",
    }
)

#: Most archives that are kept; the one asked for longest ago goes first.
KEPT: Final = 16

#: What the folders begin with in which archives are made, and after how many seconds of
#: silence one was left by a process that died.
MAKING: Final = ".making-"
ABANDONED: Final = 24 * 3600

#: What is packed already, or does not get smaller: packing it takes seconds for nothing.
DENSE: Final = frozenset({".onnx", ".safetensors", ".npz", ".png", ".parquet", ".pdf"})

#: The earliest moment that an archive can name, so that the time of making changes no byte.
MOMENT: Final = (1980, 1, 1, 0, 0, 0)

#: Characters of a SHA-256 in the name of an archive.
DIGEST: Final = 32


class Downloads:
    """Archives by version, in a folder that may be emptied at any time.

    An archive that is being sent stays readable when its file is removed.
    """

    def __init__(self, registry: ModelRegistry, folder: Path) -> None:
        """Use a folder; it is made when something is kept."""
        self._registry, self._folder = registry, folder
        self._lock = threading.Lock()  # who asks while an archive is made waits for it

    def run(self, row: ModelVersion, *, whole: bool) -> Path:
        """The run directory of a version as an archive.

        Args:
            row: The version.
            whole: Whether with files that name or show patients or samples.

        Raises:
            DeletedError: It was deleted.
        """
        return self._archive("whole-run" if whole else "run", row)

    def bundle(self, row: ModelVersion) -> Path:
        """The MONAI bundle of a version as an archive.

        Raises:
            DeletedError: It was deleted.
            InputError: The run is of a version that no bundle can be made of.
        """
        return self._archive("bundle", row)

    def forget(self, row: ModelVersion) -> None:
        """Remove the archives of a version that was deleted."""
        with self._lock:
            for path in self._folder.glob(f"*-of-{_token(row)}-*"):
                path.unlink(missing_ok=True)

    def _archive(self, kind: str, row: ModelVersion) -> Path:
        # Named by the store's name of the version, which is given once, and by our version,
        # which may write other bundles than the one before.
        beginning = f"{kind}-of-{_token(row)}-by-{version('evenscan')}-"
        with self._lock:
            for found in self._folder.glob(f"{beginning}*.zip"):
                with suppress(FileNotFoundError):  # another process has just removed it
                    os.utime(found)
                    return found
            self._sweep(KEPT - 1)
            return self._made(kind, row, beginning)

    def _made(self, kind: str, row: ModelVersion, beginning: str) -> Path:
        run = self._registry.directory(row)
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(prefix=MAKING, dir=self._folder) as work:
                packed = Path(work) / "packed.zip"
                if kind == "bundle":
                    root = Path(work) / "bundle"
                    write_bundle(run, root)
                    pack(root, _files(root), packed)
                else:
                    names = _files(run)
                    shown = (each for each in names if kind != "run" or each in IMPERSONAL)
                    pack(run, shown, packed)
                target = self._folder / f"{beginning}{_digest(packed)}.zip"
                os.replace(packed, target)
        except FileNotFoundError:
            self._registry.get(str(row.id))  # says so if it was deleted meanwhile
            raise
        return target

    def _sweep(self, most: int) -> None:
        """Remove all but the archives asked for last, and what a crash has left."""
        archives = sorted(self._folder.glob("[!.]*.zip"), key=_asked, reverse=True)
        for path in archives[most:]:
            path.unlink(missing_ok=True)
        for work in self._folder.glob(f"{MAKING}*"):
            if 0 < _asked(work) < time.time() - ABANDONED:
                shutil.rmtree(work, ignore_errors=True)


def pack(root: Path, names: Iterable[str], target: Path) -> None:
    """Write files as a ZIP archive, whole or not at all.

    Args:
        root: Folder of the files.
        names: Of the files, below it, with slashes.
        target: File to write. The same names and bytes give the same archive, on one machine.
    """
    with atomic_path(target) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(names):
            entry = zipfile.ZipInfo(name, MOMENT)
            dense = Path(name).suffix in DENSE
            entry.compress_type = zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.file_size = (root / name).stat().st_size
            with (root / name).open("rb") as source, archive.open(entry, "w") as packed:
                while block := source.read(2**20):
                    packed.write(block)


def tag(archive: Path) -> str:
    """The strong ETag of an archive: it is made of its bytes.

    >>> tag(Path("run-of-3-by-0.1.0-8f3c.zip"))
    '"8f3c"'
    """
    return f'"{archive.stem.rpartition("-")[2]}"'


def _files(root: Path) -> list[str]:
    found = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return [path.relative_to(root).as_posix() for path in found]


def _token(row: ModelVersion) -> str:
    return row.directory.rpartition("/")[2]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST]


def _asked(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # another process was faster
