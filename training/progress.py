"""Shows on a terminal what a run is doing."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from training.making import OnStep, Step


@contextmanager
def steps() -> Iterator[OnStep]:
    """A progress bar on standard error that names what is being done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def on_step(step: Step) -> None:
            bar.update(task, description=step.name, completed=step.done, total=step.total)

        yield on_step
