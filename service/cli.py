"""Commands of the service: serve, worker, models."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.registry import ModelRegistry

# Everything else is imported inside the commands: the base install loads this module, and
# `evenscan --help` should not wait for it.

app = typer.Typer()
models = typer.Typer(help="Model versions and the champion.", no_args_is_help=True)
app.add_typer(models, name="models")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    worker: Annotated[bool, typer.Option(help="Also run a worker.")] = True,
) -> None:
    """Start the API, and a worker that does its jobs. EVENSCAN_* variables configure both."""
    from service.server import serve as start
    from service.settings import ServiceSettings

    _log()
    given = {"host": host, "port": port}
    settings = ServiceSettings.read(**{k: v for k, v in given.items() if v is not None})
    start(settings, with_worker=worker, on_listening=typer.echo)


@app.command()
def worker(
    while_stdin_is_open: Annotated[
        bool, typer.Option("--while-stdin-is-open", help="Stop too when standard input ends.")
    ] = False,
) -> None:
    """Do the jobs: audits and retrainings. Unfinished ones are taken up first."""
    from service.settings import ServiceSettings
    from service.worker import run

    _log()
    run(ServiceSettings.read(), while_stdin_is_open=while_stdin_is_open)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for images, runs and service.")] = Path(
        "demo"
    ),
    cohort: Annotated[Path, typer.Option(help="TOML file of a phantom cohort.")] = Path(
        "cohorts/phantom.toml"
    ),
    policy: Annotated[str, typer.Option(help="Name or TOML file of the policy.")] = "default",
) -> None:
    """The main job end to end: generate a cohort, train two methods, audit, serve, ask."""
    from rich.console import Console

    from service.demo import demo as run

    run(cohort, policy, out, Console())


@models.command("list")
def list_models() -> None:
    """List the model versions, the newest first."""
    registry = _registry()
    champion = registry.champion()
    for version in registry.list():
        mark = "champion" if champion and champion.id == version.id else ""
        typer.echo(f"{version.id}\t{version.method}\t{version.run}\t{version.created}\t{mark}")


@models.command()
def register(
    run: Annotated[Path, typer.Argument(help="Folder of a finished training run.")],
) -> None:
    """Make a finished run a model version."""
    typer.echo(_registry().register(run).id)


@models.command()
def promote(
    version: Annotated[int, typer.Argument(help="Number of the version.", min=1, max=2**31)],
    who: Annotated[str, typer.Option(help="Who decides.")],
    why: Annotated[str, typer.Option(help="The reason, as a sentence.")],
) -> None:
    """Make a version the champion. The move is recorded and cannot be erased."""
    event = _registry().promote(version, who, why)
    typer.echo(f"{event.alias} is version {event.version_id}")


def _registry() -> "ModelRegistry":
    from service.database import Database
    from service.layout import Layout
    from service.registry import ModelRegistry
    from service.settings import ServiceSettings

    settings = ServiceSettings.read()
    return ModelRegistry(Database.opened(settings.database), Layout(settings).models)


def _log() -> None:
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, format=form, force=True)
    for name in ("evaluation", "training", "service", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
