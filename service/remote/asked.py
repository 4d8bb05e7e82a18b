"""How a command asks a service, and how it says what came of it."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from service.client import Client, Event, Job


@contextmanager
def asked() -> "Iterator[Client]":
    """A client; what the service refuses is told as other commands tell their errors."""
    from evaluation.cli import BAD_INPUT
    from service.client import Client, ServiceError

    try:
        with Client() as client:
            yield client
    except ServiceError as error:
        if error.status == 401:
            found = "is no good key" if os.environ.get("EVENSCAN_KEY") else "is not set"
            remedy = "Where the service runs, evenscan keys create makes one."
            typer.echo(f"Error: EVENSCAN_KEY {found}. {remedy}", err=True)
            raise typer.Exit(BAD_INPUT) from None
        for line in error.detail.splitlines():
            typer.echo(f"Error: {line}", err=True)
        if error.status is not None and error.status >= 500 and error.request:
            typer.echo(f"Error: the service's log has it as {error.request}.", err=True)
        raise typer.Exit(BAD_INPUT) from None


def begun(client: "Client", job: "Job", wait: bool) -> None:
    """Tell of a job that was begun; its id alone goes to standard output."""
    typer.echo(job.id)
    if wait:
        watched(client, job.id)


def watched(client: "Client", job: str) -> None:
    """Show a job's progress, and how it ended; the exit code is that of its verdict."""
    from evaluation.cli import BAD_INPUT, EXIT_CODES

    try:
        with _bar() as tell:
            ended = client.wait(job, tell)
    except KeyboardInterrupt:
        typer.echo(f"Job {job} goes on: evenscan remote jobs watch {job}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{ended.state}: {ended.reason}", err=True)
    for name, link in ended.links.items():
        typer.echo(f"{name}: {link}", err=True)
    if ended.state != "succeeded":
        raise typer.Exit(BAD_INPUT)
    if (verdict := ended.result.get("verdict")) in EXIT_CODES:
        raise typer.Exit(EXIT_CODES[verdict])


@contextmanager
def _bar() -> "Iterator[Callable[[Event], None]]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("queued", total=1.0)

        def tell(event: "Event") -> None:
            if event.kind == "log":
                console.print(event.text, markup=False, highlight=False)
            else:
                progress.update(task, description=event.text, completed=event.progress or 0.0)

        yield tell


def lines(rows: Iterable[tuple[object, ...]]) -> None:
    """Show a list: a line each, columns apart by tabs."""
    for row in rows:
        # a reason may have several lines, and each row has one
        told = ("" if value is None else " ".join(str(value).split()) for value in row)
        typer.echo("\t".join(told))


def as_json(content: dict[str, Any]) -> None:
    """Show one thing."""
    typer.echo(json.dumps(content, indent=1))
