"""Which columns of a table hold what, and so which task it is about."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Literal, NamedTuple

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings
from evaluation.target import MACRO

Task = Literal["binary", "multiclass", "multilabel"]


class Columns(Settings):
    """Which columns of a file hold what.

    The task follows from the columns. ``label`` and ``score``: binary. ``label`` and one
    ``score_<class>`` a class: multiclass, the label is the name of a class. ``label_<finding>``
    and ``score_<finding>``: multilabel, and an empty label means that the finding was not
    assessed. The words before the underscore are ``label`` and ``score`` as given here.

    Attributes:
        sample: Id of the row; unique.
        patient: Id of the patient, the unit of resampling. None: every row is a patient of its
            own.
        label: Truth: 0 or 1, or the class.
        score: Probability, in [0, 1].
        split: train, validation or test. Without such a column every row is a test row.
        decision: What the model decided: 0 or 1 (``decision_<finding>`` for each finding), or
            the class. None: scores are compared with a threshold, classes are those of the
            highest score.
        weight: Weight of the row, >= 0, such as an inverse sampling probability. None: 1.
        hash: Hash of the image, to find duplicates. None: they are not looked for.
        positive: Value of ``label`` that is the positive class; others are negative. None:
            labels are 0 and 1. Binary only.
        targets: Classes or findings to audit, in this order; classes that are ordered are
            listed in their order. Empty: all, in the order of the score columns.
        task: binary, multiclass or multilabel. None: as the columns say.
    """

    sample: str = "sample"
    patient: str | None = "patient"
    label: str = "label"
    score: str = "score"
    split: str = "split"
    decision: str | None = None
    weight: str | None = None
    hash: str | None = None
    positive: str | None = None
    targets: tuple[str, ...] = ()
    task: Task | None = None

    def layout(self, names: Sequence[str], where: str) -> "Layout":
        """What a table with columns of these names holds.

        Args:
            names: Columns of the table.
            where: Name of the table, for messages.

        Raises:
            InputError: Needed columns are missing; every one is listed.
        """
        task = self.task or self._task(names)
        targets = self._targets(task, names)
        source = {"sample": self.sample, "patient": self.patient or self.sample}
        source |= self._answers(task, targets)
        for role in ("weight", "hash"):
            if (name := getattr(self, role)) is not None:
                source[role] = name
        faults = [*self._absent(source, names, where), *_faults(task, targets, self, where)]
        if faults:
            raise InputError(*faults)
        if self.split in names:
            source["split"] = self.split
        return Layout(task, targets, source)

    def _task(self, names: Sequence[str]) -> Task:
        if self.score in names or not _after(self.score, names):
            return "binary"
        return "multiclass" if self.label in names else "multilabel"

    def _targets(self, task: Task, names: Sequence[str]) -> tuple[str, ...]:
        return ("",) if task == "binary" else self.targets or _after(self.score, names)

    def _answers(self, task: Task, targets: Sequence[str]) -> dict[str, str]:
        """The columns of truth, score and decision, by their name in a checked table."""
        found: dict[str, str] = {}
        for role in ("label", "score", "decision"):
            stem = getattr(self, role)
            if stem is None:
                continue
            whole = task == "binary" or (task == "multiclass" and role != "score")
            pairs = [("", "")] if whole else [(f"_{name}", f"_{name}") for name in targets]
            found |= {role + inner: stem + outer for inner, outer in pairs}
        return found

    def _absent(
        self, source: dict[str, str], names: Sequence[str], where: str
    ) -> Iterator[Fault]:
        for role, name in source.items():
            if name in names:
                continue
            unread = [each for each in names if each not in source.values()]
            near = get_close_matches(name, unread, n=1)
            remedy = f"Did you mean '{near[0]}'? " if near else ""
            remedy += f"The file has: {', '.join(names)}."
            if role == "patient":
                remedy += " If every image is of another patient, say so with "
                remedy += "--one-image-per-patient."
            yield Fault(where, f"there is no {role.split('_')[0]} column '{name}'", remedy)


class Layout(NamedTuple):
    """Where a checked table's columns come from.

    Attributes:
        task: What the model answers.
        targets: Names of the classes or findings; one empty name for a binary task.
        source: Column of the file, by column of the checked table.
    """

    task: Task
    targets: tuple[str, ...]
    source: dict[str, str]


def _after(stem: str, names: Sequence[str]) -> tuple[str, ...]:
    """What follows ``stem_`` in the names that begin so.

    >>> _after("score", ["score_a", "label_a", "score_b c"])
    ('a', 'b c')
    """
    return tuple(name[len(stem) + 1 :] for name in names if name.startswith(f"{stem}_"))


def _faults(
    task: Task, targets: Sequence[str], columns: Columns, where: str
) -> Iterator[Fault]:
    if MACRO in targets:
        found = f"a class or finding is called '{MACRO}', which names the mean of all"
        yield Fault(where, found, "Call it otherwise.")
    if task != "binary" and "" in targets:
        found = f"a class or finding has no name: the column '{columns.score}_'"
        yield Fault(where, found, "Name it behind the underscore.")
    if len(set(targets)) < len(targets):
        yield Fault(where, "a class or finding is named twice", "Name each once.")
    if task == "multiclass" and len(targets) < 3:
        found = f"a multiclass task needs three classes or more, got {len(targets)}"
        remedy = f"Add columns {columns.score}_<class>."
        if targets:
            score = f"{columns.score}_{targets[-1]}"
            remedy = f"Two are a binary task: --score {score} --positive {targets[-1]}."
        yield Fault(where, found, remedy)
    if task == "multilabel" and not targets:
        yield Fault(where, "there is no finding", f"Add columns {columns.score}_<finding>.")
    if task != "binary" and columns.positive is not None:
        found = f"'{columns.positive}' is named as the positive class of a {task} task"
        yield Fault(where, found, "Leave positive out.")
