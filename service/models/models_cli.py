"""Commands for the model versions of this machine's service."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.private import private

if TYPE_CHECKING:
    from service.models.registry import ModelRegistry

# Everything else is imported inside the commands: see ``service.cli``.

models = typer.Typer(
    help="Model versions and the champion.", callback=private, no_args_is_help=True
)

Who = Annotated[str, typer.Option(help="Who decides.")]
Why = Annotated[str, typer.Option(help="The reason, as a sentence.")]
Number = Annotated[int, typer.Argument(help="Number of the version.", min=1, max=2**31 - 1)]


@models.command("list")
def list_models() -> None:
    """List the model versions, the newest first."""
    from service.models.aliases import ALIASES

    registry = _registry()
    pointed = {name: registry.alias(name) for name in ALIASES}
    for version in registry.list():
        marks = [name for name, at in pointed.items() if at and at.id == version.id]
        marks += ["deleted"] if version.deleted else []
        told = (version.id, version.method, version.run, version.created, ", ".join(marks))
        typer.echo("\t".join(map(str, told)))


@models.command()
def register(
    run: Annotated[Path, typer.Argument(help="Folder of a finished training run.")],
) -> None:
    """Make a finished run a model version."""
    typer.echo(_registry().register(run).id)


@models.command()
def promote(
    version: Number,
    who: Who,
    why: Why,
    override: Annotated[
        bool,
        typer.Option(
            "--override",
            help="Promote it although its verdict is not PASS, or another is to approve.",
        ),
    ] = False,
) -> None:
    """Make a version the champion. The move is recorded and cannot be erased."""
    from service.models.approval import approve

    event = approve(_registry(), version, who, why, override=override)
    typer.echo(f"{event.alias} is version {event.version_id}")


@models.command()
def rollback(who: Who, why: Why) -> None:
    """Take back the last promotion that stands; the move is recorded too."""
    event = _registry().rollback(who, why)
    typer.echo(f"{event.alias} is version {event.version_id}")


@models.command()
def moves() -> None:
    """List every move of the aliases, the newest first."""
    for event in _registry().history():
        told = (event.created, event.alias, event.previous_id, event.version_id, event.who)
        typer.echo("\t".join([*map(str, told), event.why]))


@models.command()
def delete(version: Number) -> None:
    """Remove the files of a version; its row, its number and its audits stay."""
    _registry().delete(version)
    typer.echo(f"the files of version {version} are removed")


def _registry() -> "ModelRegistry":
    from service.jobs.workflow import Workplace
    from service.settings import ServiceSettings
    from service.storage.database import Database

    settings = ServiceSettings.read()
    return Workplace.of(settings, Database.opened(settings.database)).registry
