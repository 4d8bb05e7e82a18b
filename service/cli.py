"""Commands of the service: serve, worker, models."""

from pathlib import Path
from typing import Annotated

import typer

from service.models.models_cli import models
from service.private import private
from service.remote import remote
from service.security.keys_cli import keys

# Everything else is imported inside the commands: the base install loads this module, and
# `evenscan --help` should not wait for it.

app = typer.Typer()
app.add_typer(models, name="models")
app.add_typer(keys, name="keys")
app.add_typer(remote, name="remote")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    worker: Annotated[bool, typer.Option(help="Also run a worker.")] = True,
    processes: Annotated[
        int | None, typer.Option(help="Processes that answer requests, each with its models.")
    ] = None,
    open_: Annotated[
        bool | None, typer.Option("--open", help="Ask for no key; on loopback only.")
    ] = None,
) -> None:
    """Start the API, and a worker that does its jobs. EVENSCAN_* variables configure both."""
    from service.health.logs import configure
    from service.server import serve as start
    from service.settings import ServiceSettings

    given = {"host": host, "port": port, "open": open_, "processes": processes}
    settings = ServiceSettings.read(**{k: v for k, v in given.items() if v is not None})
    configure(settings.log)
    private()
    start(settings, with_worker=worker, on_listening=typer.echo)


@app.command(hidden=True)
def answer(
    listener: Annotated[int, typer.Option(help="File of the socket.")],
    started: Annotated[int, typer.Option(help="File that gets a byte when it has begun.")],
) -> None:
    """Answer requests beside other processes, until standard input ends; serve starts it."""
    from service.answering import answer_while_stdin_is_open
    from service.health.logs import configure
    from service.settings import ServiceSettings

    settings = ServiceSettings.read()
    configure(settings.log)
    private()
    answer_while_stdin_is_open(settings, listener, started)


@app.command()
def worker(
    while_stdin_is_open: Annotated[
        bool, typer.Option("--while-stdin-is-open", help="Stop too when standard input ends.")
    ] = False,
) -> None:
    """Do the jobs: audits and retrainings. Unfinished ones are taken up first."""
    from service.health.logs import configure
    from service.jobs.worker import run
    from service.settings import ServiceSettings

    settings = ServiceSettings.read()
    configure(settings.log)
    private()
    run(settings, while_stdin_is_open=while_stdin_is_open)


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
