"""Commands about the model versions of a service."""

from pathlib import Path
from typing import Annotated

import typer

from service.remote.asked import as_json, asked, lines
from service.remote.options import Version

models = typer.Typer(help="Model versions of the service.", no_args_is_help=True)

Who = Annotated[str | None, typer.Option(help="Who decides, if the service is open.")]
Why = Annotated[str, typer.Option(help="The reason, as a sentence.")]


@models.command("list")
def list_models() -> None:
    """List the model versions, the newest first."""
    with asked() as client:
        for m in client.models():
            marks = [*m.aliases, *(["deleted"] if m.deleted else [])]
            lines([(m.id, m.method, m.run, m.created, ", ".join(marks))])


@models.command("show")
def show_model(model: Version) -> None:
    """Show a version with its moves, as JSON."""
    with asked() as client:
        as_json(client.model(model).model_dump(mode="json"))


@models.command()
def promote(
    model: Version,
    why: Why,
    who: Who = None,
    override: Annotated[
        bool,
        typer.Option(
            "--override", help="Although its verdict is not PASS, or another is to approve."
        ),
    ] = False,
) -> None:
    """Make a version the champion. The move is recorded and cannot be erased."""
    with asked() as client:
        made = client.promote(model, why, who=who, override=override)
    typer.echo(f"champion is version {made.id}")


@models.command()
def rollback(why: Why, who: Who = None) -> None:
    """Take back the last promotion that stands."""
    with asked() as client:
        move = client.rollback(why, who=who)
    typer.echo(f"champion is version {move.version}")


@models.command("download")
def download_model(
    model: Version,
    out: Annotated[Path, typer.Option(help="Zip file to write.")],
    run: Annotated[
        bool, typer.Option("--run", help="The run directory instead of a MONAI bundle.")
    ] = False,
) -> None:
    """Write a version to a zip file."""
    with asked() as client:
        typer.echo(client.download_model(model, out, "run" if run else "bundle"))


@models.command("delete")
def delete_model(model: Annotated[int, typer.Argument(help="Number of the version.")]) -> None:
    """Remove the files of a version; its row, its number and its audits stay."""
    with asked() as client:
        client.delete_model(model)
    typer.echo(f"the files of version {model} are removed")
