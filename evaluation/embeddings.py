"""Embeddings: what a model makes of each sample, for probing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from evaluation.errors import Fault, InputError
from evaluation.metric import Array
from evaluation.table import file_digest, read_table, table_digest

#: Columns of the image itself, made small: not a code, but what a code could have leaked.
PIXELS = "pixels"

LATENTS = ("content", "style", PIXELS)


@dataclass(frozen=True)
class Embeddings:
    """Codes of samples.

    Attributes:
        sample: ``[n]`` unique ids, text.
        codes: Latent (``content``, ``style``, and ``pixels`` for comparison) to ``[n, d]``
            finite numbers.
        source: Where they came from, for messages.
        digest: SHA-256 of the file, or of the table if there is no file.
    """

    sample: pd.Index
    codes: dict[str, Array]
    source: str
    digest: str

    @classmethod
    def from_table(
        cls, table: pd.DataFrame, source: str = "embeddings", digest: str | None = None
    ) -> Self:
        """Check a table with the columns ``sample``, ``content_*``, ``style_*``, ``pixels_*``.

        One of the first two kinds must be there.

        Raises:
            InputError: There is no sample column or no code, an id occurs twice or is missing,
                or a value is not a finite number. Every fault is listed.
        """
        table = table.reset_index(drop=True)
        faults = []
        if "sample" not in table.columns:
            faults.append(Fault(source, "there is no column 'sample'", "Add the sample ids."))
        columns = {
            latent: [name for name in table.columns if str(name).startswith(f"{latent}_")]
            for latent in LATENTS
        }
        if not any(columns[latent] for latent in LATENTS if latent != PIXELS):
            remedy = "Call the columns content_0, content_1 ... and style_0, style_1 ..."
            faults.append(Fault(source, "there is no column of a code", remedy))
        if faults:
            raise InputError(*faults)
        codes = {
            latent: table[names].apply(pd.to_numeric, errors="coerce")
            for latent, names in columns.items()
            if names
        }
        faults = [*_id_faults(table["sample"], source), *_code_faults(codes, source)]
        if faults:
            raise InputError(*faults)
        numbers = {latent: code.to_numpy(float) for latent, code in codes.items()}
        ids = pd.Index(table["sample"].astype("str"))
        return cls(ids, numbers, source, digest or table_digest(table))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a CSV or Parquet file, told apart by the suffix.

        Raises:
            InputError: The file cannot be read, or :meth:`from_table` refuses its content.
        """
        return cls.from_table(read_table(path), path.name, file_digest(path))

    def of(self, sample: pd.Series) -> dict[str, Array]:
        """The codes of some samples, in their order, ``[m, d]`` each.

        Raises:
            InputError: A sample has none.
        """
        position = self.sample.get_indexer(pd.Index(sample))
        if (position < 0).any():
            first = sample.iloc[int(np.argmax(position < 0))]
            found = f"{int((position < 0).sum())} audited samples have none, first {first}"
            raise InputError(Fault(self.source, found, "Embed every test sample."))
        return {latent: code[position] for latent, code in self.codes.items()}


def _id_faults(sample: pd.Series, source: str) -> Iterator[Fault]:
    wrong = sample.isna() | sample.duplicated()
    for row in np.flatnonzero(wrong)[:1]:
        found = f"{int(wrong.sum())} ids are missing or occur twice, first '{sample.iloc[row]}'"
        remedy = "Every row needs an id of its own."
        yield Fault(source, found, remedy, row=int(row) + 1, column="sample")


def _code_faults(codes: dict[str, pd.DataFrame], source: str) -> Iterator[Fault]:
    for code in codes.values():
        # Of larger numbers the squares, which every probe takes, would overflow.
        wrong = ~(np.abs(code.to_numpy(float)) < 1e100)
        for row, column in np.argwhere(wrong)[:1]:
            found = f"{int(wrong.sum())} values are not finite numbers below 1e100"
            remedy = "A probe of such values would find nothing and say so."
            name = str(code.columns[column])
            yield Fault(source, found, remedy, row=int(row) + 1, column=name)
