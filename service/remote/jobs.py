"""Commands about the jobs of a service."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.remote.asked import as_json, asked, begun, lines, watched
from service.remote.options import Watch

if TYPE_CHECKING:
    from service.client import Job

jobs = typer.Typer(help="Jobs of the service.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="Id of the job.")]


@jobs.command("list")
def list_jobs(
    kind: Annotated[str | None, typer.Option(help="Of this kind only.")] = None,
    state: Annotated[str | None, typer.Option(help="In this state only.")] = None,
) -> None:
    """List the jobs, the newest first."""
    with asked() as client:
        found = client.jobs(kind=kind, state=state)
        lines((j.id, j.kind, j.state, j.who, j.created, j.reason) for j in found)


@jobs.command("show")
def show_job(job: JobId) -> None:
    """Show a job, as JSON."""
    with asked() as client:
        as_json(client.job(job).model_dump(mode="json"))


@jobs.command()
def watch(job: JobId) -> None:
    """Follow a job to its end. Exits with 1 unless it succeeds."""
    with asked() as client:
        watched(client, job)


@jobs.command()
def logs(job: JobId) -> None:
    """Show what happened to a job, the oldest first."""
    with asked() as client:
        lines((line.created, line.kind, line.text) for line in client.logs(job))


@jobs.command()
def cancel(job: JobId) -> None:
    """Stop a job."""
    with asked() as client:
        typer.echo(f"{job} is {_stopping(client.cancel(job))}")


@jobs.command("retry")
def retry_job(job: JobId, watch: Watch = False) -> None:
    """Try a failed or cancelled job again, as a new one."""
    with asked() as client:
        begun(client, client.retry(job), watch)


def _stopping(job: "Job") -> str:
    return job.state if job.ended else "stopping"
