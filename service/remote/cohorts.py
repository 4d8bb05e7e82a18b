"""Commands about the cohorts of a service."""

from pathlib import Path
from typing import Annotated

import typer

from service.remote.asked import as_json, asked, begun, lines
from service.remote.options import Watch, toml_of

cohorts = typer.Typer(help="Cohorts of the service.", no_args_is_help=True)

CohortId = Annotated[str, typer.Argument(help="Id of the cohort.")]
SchemaFile = Annotated[Path | None, typer.Option(help="TOML file of the cohort.")]
SchemaName = Annotated[str | None, typer.Option(help="Or the name of one it has.")]


@cohorts.command()
def upload(
    manifest: Annotated[list[Path], typer.Option(help="Table; may be repeated.")],
    images: Annotated[list[Path], typer.Option(help="Zip file; may be repeated.")],
    schema: SchemaFile = None,
    schema_name: SchemaName = None,
    watch: Watch = False,
) -> None:
    """Upload a cohort: its tables and zip files of its images."""
    with asked() as client:
        job = client.upload_cohort(manifest, images, schema=schema, schema_name=schema_name)
        begun(client, job, watch)


@cohorts.command("register")
def register_cohort(
    folder: Annotated[str, typer.Argument(help="Folder on the service's machine.")],
    schema: SchemaFile = None,
    schema_name: SchemaName = None,
    watch: Watch = False,
) -> None:
    """Register a folder that the service can read."""
    with asked() as client:
        values = toml_of(schema)
        job = client.register_cohort(folder, schema=values, schema_name=schema_name)
        begun(client, job, watch)


@cohorts.command("list")
def list_cohorts() -> None:
    """List the cohorts, the newest first."""
    with asked() as client:
        lines((c.id, c.samples, c.patients, c.who, c.created) for c in client.cohorts())


@cohorts.command("show")
def show_cohort(cohort: CohortId) -> None:
    """Show what was found in a cohort, as JSON."""
    with asked() as client:
        as_json(client.cohort_report(cohort))


@cohorts.command("delete")
def delete_cohort(cohort: CohortId) -> None:
    """Remove a cohort."""
    with asked() as client:
        client.delete_cohort(cohort)
    typer.echo(f"{cohort} is removed")
