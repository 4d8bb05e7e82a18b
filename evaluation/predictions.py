"""Predictions: the one table that training writes and evaluation reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from evaluation.columns import Columns, Layout, Task
from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from evaluation.metric import Array
from evaluation.table import file_digest, read_table, table_digest
from evaluation.target import Target

SPLITS = ("train", "validation", "test")

#: Columns that every binary table has; the others are attributes.
COLUMNS = ("sample", "patient", "split", "label", "score")

_LISTED_PER_FAULT = 20
_NOT_A_FIELD = (list, tuple, dict, set, bytes, np.ndarray)
_OPTIONAL = {"decision", "weight", "hash"}
_TEXT = ("sample", "patient", "split", "hash")
_REMEDY = {
    "sample": "Every row needs an id of its own.",
    "patient": "Every row needs the id of its patient: intervals resample patients.",
    "split": "Use train, validation or test.",
    "label": "Labels are 1 (positive class) or 0; --positive names the positive class if they "
    "are words.",
    "score": "Scores are probabilities in [0, 1]; apply a sigmoid or softmax to logits before "
    "saving them.",
    "decision": "Decisions are 1 or 0.",
    "weight": "Weights are finite and not negative: 0, or from 1e-12 to 1e12.",
}


@dataclass(frozen=True)
class Predictions:
    """A model's scores beside the truth and the attributes.

    Attributes:
        table: One row a sample: ``sample``, ``patient`` and ``split`` (str), truth and scores,
            and the attributes as they were read; a missing attribute is NaN. Binary: ``label``
            (0 or 1), ``score`` (in [0, 1]). Multiclass: ``label`` (number of the class) and
            ``score_<class>``. Multilabel: ``label_<finding>`` (0, 1, or NaN where it was not
            assessed) and ``score_<finding>``. Beside them, if the file has them, ``decision``
            (or ``decision_<finding>``), ``weight`` and ``hash``.
        source: Where the table came from, for messages and the report.
        digest: SHA-256 of the file, or of the table if there is no file.
        task: What the model answers.
        targets: Classes or findings; one empty name for a binary task.
        given: Which of ``decision``, ``weight`` and ``hash`` the table holds. An attribute may
            be called ``weight`` too.
    """

    table: pd.DataFrame
    source: str
    digest: str
    task: Task = "binary"
    targets: tuple[str, ...] = ("",)
    given: frozenset[str] = frozenset()

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        attributes: Sequence[str] = (),
        columns: Columns | None = None,
        source: str = "predictions",
        digest: str | None = None,
    ) -> Self:
        """Check a table.

        Args:
            table: Any column types; numbers may be text.
            attributes: Columns to keep as attributes.
            columns: Names of the other columns.
            source: Name of the table in messages.
            digest: SHA-256 of where it came from; of the checked table if not given.

        Raises:
            InputError: Columns are missing or values do not fit. Every fault is listed, with
                row and column.
        """
        columns = columns or Columns()
        table = table.reset_index(drop=True)
        layout = _checked_layout(table, attributes, columns, source)
        raw = _renamed(table, attributes, layout)
        checked = _typed(raw, layout, columns)
        faults = list(_faults(raw, checked, layout, source))
        if columns.positive is not None and not (checked["label"] == 1).any():
            faults.append(_no_positive(raw["label"], columns, source))
        if faults:
            raise InputError(*faults)
        if layout.task != "multilabel":
            checked = checked.astype({"label": "int16"})
        digest = digest or table_digest(checked)
        given = frozenset(name.split("_")[0] for name in layout.source) & _OPTIONAL
        return cls(checked, source, digest, layout.task, layout.targets, given)

    @classmethod
    def read(
        cls, path: Path, attributes: Sequence[str] = (), columns: Columns | None = None
    ) -> Self:
        """Read and check a CSV or Parquet file, told apart by the suffix.

        Raises:
            InputError: The file cannot be read, or :meth:`from_table` refuses its content.
        """
        # A name need not be text, but the report is.
        name = path.name.encode("utf-8", "backslashreplace").decode()
        return cls.from_table(read_table(path), attributes, columns, name, file_digest(path))

    def write(self, path: Path) -> None:
        """Write to ``path``, CSV or Parquet by its suffix; never leaves half a file.

        Classes are written by name, so that :meth:`read` takes the file.
        """
        table = self.table
        if self.task == "multiclass":
            names = np.array(self.targets, dtype=object)
            known = [name for name in ("label", "decision") if name in table]
            table = table.assign(**{name: names[table[name].astype(int)] for name in known})
        with atomic_path(path) as partial:
            if path.suffix == ".parquet":
                table.to_parquet(partial, index=False)
            else:
                table.to_csv(partial, index=False)

    def only(self, split: str) -> Self:
        """The rows of one split, renumbered from 0; maybe none."""
        rows = self.table[self.table["split"] == split].reset_index(drop=True)
        return replace(self, table=rows)

    @property
    def patient(self) -> Array:
        """``[n]``."""
        return self.table["patient"].to_numpy()

    @property
    def weight(self) -> Array:
        """``[n]``, one where the file has no weights."""
        if "weight" in self.given:
            return self.table["weight"].to_numpy(float)
        return np.ones(len(self.table))

    def answers(self, thresholds: Mapping[str, float]) -> tuple[Target, ...]:
        """Truth, score and decision of each target.

        Args:
            thresholds: By target, where scores are decided by one.

        Returns:
            A multiclass task comes first as a whole, then each class against the others.
        """
        if self.task == "multiclass":
            return self._classes()
        return tuple(self._answer(name, thresholds) for name in self.targets)

    def _answer(self, name: str, thresholds: Mapping[str, float]) -> Target:
        end = f"_{name}" if name else ""
        label, score = (self.table[role + end].to_numpy(float) for role in ("label", "score"))
        if "decision" in self.given:
            decision = self.table[f"decision{end}"].to_numpy(float)
        else:
            decision = (score >= thresholds[name]).astype(float)
        return Target(name, label, score, decision)

    def _classes(self) -> tuple[Target, ...]:
        label = self.table["label"].to_numpy(float)
        scores = self.table[[f"score_{name}" for name in self.targets]].to_numpy(float)
        decided = (
            self.table["decision"].to_numpy(float)
            if "decision" in self.given
            else scores.argmax(axis=1).astype(float)
        )
        nothing = np.full(len(label), np.nan)
        whole = Target("", label, nothing, decided, classes=len(self.targets))
        each = (
            Target(name, (label == k) * 1.0, scores[:, k], (decided == k) * 1.0)
            for k, name in enumerate(self.targets)
        )
        return (whole, *each)


def _checked_layout(
    table: pd.DataFrame, attributes: Sequence[str], columns: Columns, source: str
) -> Layout:
    names = [str(name) for name in table.columns]
    faults: list[Fault] = []
    try:
        layout = columns.layout(names, source)
    except InputError as error:
        faults += error.faults
        layout = Layout("binary", ("",), {})
    for name in attributes:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            remedy = f"Did you mean '{near[0]}'? " if near else ""
            remedy += f"The file has: {', '.join(names)}."
            faults.append(Fault(source, f"there is no attribute column '{name}'", remedy))
        elif layout.source.get(name, name) != name:
            found = f"the attribute is called as column '{layout.source[name]}' is here"
            faults.append(Fault(source, found, "Rename the attribute.", column=name))
    for name in dict.fromkeys([*layout.source.values(), *attributes]):
        if (
            names.count(name) == 1
            and table[name].map(lambda value: isinstance(value, _NOT_A_FIELD)).any()
        ):
            found = "it holds lists, records or bytes"
            faults.append(Fault(source, found, "Give one value a row.", column=name))
    for name in sorted({name for name in names if names.count(name) > 1}):
        found = f"{names.count(name)} columns are called '{name}'"
        faults.append(Fault(source, found, "Keep one of them, or rename."))
    if len(table) == 0:
        faults.append(Fault(source, "the table has no rows", "Give at least one row."))
    if faults:
        raise InputError(*faults)
    return layout


def _renamed(table: pd.DataFrame, attributes: Sequence[str], layout: Layout) -> pd.DataFrame:
    raw = {inner: table[outer] for inner, outer in layout.source.items()}
    raw.setdefault("split", pd.Series("test", index=table.index))
    head = {name: raw.pop(name) for name in ("sample", "patient", "split")}
    return pd.DataFrame(
        head | raw | {name: table[name] for name in attributes if name not in head | raw}
    )


def _typed(raw: pd.DataFrame, layout: Layout, columns: Columns) -> pd.DataFrame:
    """Text and numbers; what is neither becomes missing and is a fault later."""
    typed: dict[str, Any] = {}
    for name in (*layout.source, "split"):
        column = raw[name]
        if name in _TEXT:
            typed[name] = column.astype("str").where(column.notna())
        elif layout.task == "multiclass" and name in ("label", "decision"):
            numbers = {target: float(k) for k, target in enumerate(layout.targets)}
            typed[name] = column.astype("str").map(numbers)
        elif name == "label" and columns.positive is not None:
            named = (column.astype("str") == columns.positive).astype(float)
            typed[name] = named.where(column.notna())
        else:
            numeric = pd.to_numeric(column.replace({True: 1, False: 0}), errors="coerce")
            typed[name] = numeric.astype(float)
    return raw.assign(**typed)


def _faults(
    raw: pd.DataFrame, checked: pd.DataFrame, layout: Layout, source: str
) -> Iterator[Fault]:
    """Every fault pandera finds, row by row; what very many rows share is cut and counted."""
    # Imported here: pandera takes most of a second, which `evenscan --help` need not pay.
    import pandera.pandas as pandera

    in_range = pandera.Check.in_range
    kinds: dict[str, Any] = {
        "sample": pandera.Column(str, unique=True, report_duplicates="exclude_first"),
        "patient": pandera.Column(str),
        "split": pandera.Column(str, pandera.Check.isin(SPLITS)),
        "hash": pandera.Column(str, nullable=True),
        "score": pandera.Column(float, in_range(0, 1)),
        "weight": pandera.Column(float, pandera.Check(_is_weight)),
    }
    answers = range(len(layout.targets) if layout.task == "multiclass" else 2)
    for role in ("label", "decision"):
        kinds[role] = pandera.Column(float, pandera.Check.isin(answers))
    columns = {name: kinds[name.split("_")[0]] for name in (*layout.source, "split")}
    if layout.task == "multilabel":
        # A finding may be left unassessed, but what is there must be a label.
        assessed = pandera.Column(float, pandera.Check.isin(answers), nullable=True)
        columns |= {name: assessed for name in columns if name.startswith("label_")}
    try:
        pandera.DataFrameSchema(columns).validate(checked, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        rows = cases[cases["index"].notna()].drop_duplicates(["column", "index"])
        for name, group in rows.groupby("column", sort=False):
            yield from _row_faults(str(name), raw, group["index"].astype(int), layout, source)
        if rows.empty:
            yield Fault(source, f"the table does not fit: {error}", "Correct it.")
    for name in columns:
        if layout.task == "multilabel" and name.startswith("label_"):
            unread = np.flatnonzero(checked[name].isna() & raw[name].notna())
            yield from _row_faults(name, raw, pd.Series(unread), layout, source)


def _is_weight(weight: pd.Series) -> pd.Series:
    """Whether sums of so many, and of their squares, neither overflow nor vanish."""
    return (weight == 0) | weight.between(1e-12, 1e12)


def _no_positive(label: pd.Series, columns: Columns, source: str) -> Fault:
    names = [f"'{name}'" for name in label.dropna().astype("str").unique()[:_LISTED_PER_FAULT]]
    found = f"no label is '{columns.positive}', the positive class"
    return Fault(source, found, f"Labels are: {', '.join(names)}.", column=columns.label)


def _row_faults(
    name: str, raw: pd.DataFrame, index: pd.Series, layout: Layout, source: str
) -> Iterator[Fault]:
    called, role = layout.source.get(name, name), name.split("_")[0]
    remedy = _REMEDY[role]
    if layout.task == "multiclass" and role in ("label", "decision"):
        remedy = f"The classes are: {', '.join(layout.targets)}."
    for row in index.iloc[:_LISTED_PER_FAULT]:
        yield Fault(source, _found(name, raw, row), remedy, row=int(row) + 1, column=called)
    if (more := len(index) - _LISTED_PER_FAULT) > 0:
        found = f"{more} further rows have a fault in this column"
        yield Fault(source, found, remedy, column=called)


def _found(name: str, raw: pd.DataFrame, row: int) -> str:
    """What is wrong with a value. The row is named beside it, no id: it may be a patient's."""
    value, role = raw[name].iloc[row], name.split("_")[0]
    if pd.isna(value):
        return f"{role} is missing"
    if name == "sample":
        first = int(np.flatnonzero(raw["sample"] == value)[0])
        return f"the sample is already in row {first + 1}"
    return f"{role} is '{value}'"
