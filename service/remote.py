"""Commands that ask a running service, over the client."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from service.client import Client
    from service.client_types import Event, Job

# Everything else is imported inside the commands: see ``service.cli``.

remote = typer.Typer(
    help="Ask a running service. EVENSCAN_URL and EVENSCAN_KEY say which, and as whom.",
    no_args_is_help=True,
)
cohorts = typer.Typer(help="Cohorts of the service.", no_args_is_help=True)
jobs = typer.Typer(help="Jobs of the service.", no_args_is_help=True)
audits = typer.Typer(help="Audits of the service.", no_args_is_help=True)
models = typer.Typer(help="Model versions of the service.", no_args_is_help=True)
keys = typer.Typer(help="Keys of the service.", no_args_is_help=True)
for _name, _group in (
    ("cohorts", cohorts),
    ("jobs", jobs),
    ("audits", audits),
    ("models", models),
    ("keys", keys),
):
    remote.add_typer(_group, name=_name)

#: Images in one request.
AT_ONCE: Final = 32

Watch = Annotated[bool, typer.Option("--watch", help="Wait for its end, and show it.")]
JobId = Annotated[str, typer.Argument(help="Id of the job.")]
CohortId = Annotated[str, typer.Argument(help="Id of the cohort.")]
AuditId = Annotated[str, typer.Argument(help="Id of the audit.")]
Version = Annotated[str, typer.Argument(help="Number of a version, or an alias.")]
Images = Annotated[list[Path], typer.Argument(help="Image files.", exists=True)]
ModelOption = Annotated[str, typer.Option(help="Alias or number of the version.")]
Who = Annotated[str | None, typer.Option(help="Who decides, if the service is open.")]
Why = Annotated[str, typer.Option(help="The reason, as a sentence.")]
SchemaFile = Annotated[Path | None, typer.Option(help="TOML file of the cohort.")]
SchemaName = Annotated[str | None, typer.Option(help="Or the name of one it has.")]
PolicyName = Annotated[str | None, typer.Option(help="Name of the policy.")]


@cohorts.command()
def upload(
    manifest: Annotated[list[Path], typer.Option(help="Table; may be repeated.")],
    images: Annotated[list[Path], typer.Option(help="Zip file; may be repeated.")],
    schema: SchemaFile = None,
    schema_name: SchemaName = None,
    watch: Watch = False,
) -> None:
    """Upload a cohort: its tables and zip files of its images."""
    with _asked() as client:
        job = client.upload_cohort(manifest, images, schema=schema, schema_name=schema_name)
        _begun(client, job, watch)


@cohorts.command("register")
def register_cohort(
    folder: Annotated[str, typer.Argument(help="Folder on the service's machine.")],
    schema: SchemaFile = None,
    schema_name: SchemaName = None,
    watch: Watch = False,
) -> None:
    """Register a folder that the service can read."""
    from evaluation.settings import read_toml

    with _asked() as client:
        values = read_toml(schema) if schema is not None else None
        job = client.register_cohort(folder, schema=values, schema_name=schema_name)
        _begun(client, job, watch)


@cohorts.command("list")
def list_cohorts() -> None:
    """List the cohorts, the newest first."""
    with _asked() as client:
        _lines((c.id, c.samples, c.patients, c.who, c.created) for c in client.cohorts())


@cohorts.command("show")
def show_cohort(cohort: CohortId) -> None:
    """Show what was found in a cohort, as JSON."""
    with _asked() as client:
        _json(client.cohort_report(cohort))


@cohorts.command("delete")
def delete_cohort(cohort: CohortId) -> None:
    """Remove a cohort."""
    with _asked() as client:
        client.delete_cohort(cohort)
    typer.echo(f"{cohort} is removed")


@remote.command()
def retrain(
    config: Annotated[Path, typer.Argument(help="TOML file of the run.")],
    cohort: Annotated[
        list[str] | None, typer.Option(help="Id of a cohort it holds; may be repeated.")
    ] = None,
    hold: Annotated[
        bool, typer.Option("--hold", help="Leave the promotion to people.")
    ] = False,
    watch: Watch = False,
) -> None:
    """Train a challenger, audit it, and promote it if the gate lets it pass."""
    from evaluation.settings import read_toml

    with _asked() as client:
        wanted = read_toml(config)
        if cohort:
            wanted.pop("cohort", None)
            wanted["cohorts"] = cohort
        if hold:
            wanted["promotion"] = "hold"
        _begun(client, client.retrain(wanted), watch)


@jobs.command("list")
def list_jobs(
    kind: Annotated[str | None, typer.Option(help="Of this kind only.")] = None,
    state: Annotated[str | None, typer.Option(help="In this state only.")] = None,
) -> None:
    """List the jobs, the newest first."""
    with _asked() as client:
        found = client.jobs(kind=kind, state=state)
        _lines((j.id, j.kind, j.state, j.who, j.created, j.reason) for j in found)


@jobs.command("show")
def show_job(job: JobId) -> None:
    """Show a job, as JSON."""
    with _asked() as client:
        _json(client.job(job).model_dump(mode="json"))


@jobs.command()
def watch(job: JobId) -> None:
    """Follow a job to its end. Exits with 1 unless it succeeds."""
    with _asked() as client:
        _watch(client, job)


@jobs.command()
def logs(job: JobId) -> None:
    """Show what happened to a job, the oldest first."""
    with _asked() as client:
        _lines((line.created, line.kind, line.text) for line in client.logs(job))


@jobs.command()
def cancel(job: JobId) -> None:
    """Stop a job."""
    with _asked() as client:
        typer.echo(f"{job} is {_stopping(client.cancel(job))}")


@jobs.command("retry")
def retry_job(job: JobId, watch: Watch = False) -> None:
    """Try a failed or cancelled job again, as a new one."""
    with _asked() as client:
        _begun(client, client.retry(job), watch)


@audits.command("create")
def create_audit(
    predictions: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file of predictions.", exists=True)
    ] = None,
    attributes: Annotated[
        str, typer.Option(help="Columns that make groups, with commas.")
    ] = "",
    settings: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    policy: Annotated[Path | None, typer.Option(help="TOML file of the policy.")] = None,
    model: Annotated[str | None, typer.Option(help="Or: a version, on a cohort.")] = None,
    cohort: Annotated[str | None, typer.Option(help="Id of the cohort.")] = None,
    policy_name: PolicyName = None,
    watch: Watch = False,
) -> None:
    """Audit a predictions file, or a model on a cohort."""
    _check_choice(predictions is not None, model is not None and cohort is not None)
    with _asked() as client:
        if predictions is not None:
            names = [name for name in attributes.split(",") if name]
            job = client.audit_file(
                predictions, names, settings=settings, policy=policy, policy_name=policy_name
            )
        else:
            assert model is not None
            assert cohort is not None
            job = client.audit_model(model, cohort, **_policy(policy, policy_name))
        _begun(client, job, watch)


@audits.command()
def compare(
    challenger: Annotated[str, typer.Argument(help="Version or alias, or id of an audit.")],
    champion: Annotated[str, typer.Argument(help="What it is compared with, likewise.")],
    cohort: Annotated[str | None, typer.Option(help="Id of a cohort, for versions.")] = None,
    policy: Annotated[Path | None, typer.Option(help="TOML file of the policy.")] = None,
    policy_name: PolicyName = None,
    watch: Watch = False,
) -> None:
    """Compare two models on a cohort, or two audits."""
    with _asked() as client:
        terms = _policy(policy, policy_name)
        _begun(client, client.compare(challenger, champion, cohort, **terms), watch)


@audits.command("list")
def list_audits() -> None:
    """List the audits, the newest first."""
    with _asked() as client:
        _lines((a.id, a.verdict, a.model, a.against, a.created) for a in client.audits())


@audits.command("download")
def download_audit(
    audit: AuditId,
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    shareable: Annotated[
        bool, typer.Option("--shareable", help="Without groups that tell of a patient.")
    ] = False,
) -> None:
    """Write findings, report, tables and cards of an audit to a folder."""
    with _asked() as client:
        for path in client.download_audit(audit, out, shareable=shareable):
            typer.echo(path)


@models.command("list")
def list_models() -> None:
    """List the model versions, the newest first."""
    with _asked() as client:
        for m in client.models():
            marks = [*m.aliases, *(["deleted"] if m.deleted else [])]
            _lines([(m.id, m.method, m.run, m.created, ", ".join(marks))])


@models.command("show")
def show_model(model: Version) -> None:
    """Show a version with its moves, as JSON."""
    with _asked() as client:
        _json(client.model(model).model_dump(mode="json"))


@models.command()
def promote(
    model: Version,
    why: Why,
    who: Who = None,
    override: Annotated[
        bool, typer.Option("--override", help="Although its verdict is not PASS.")
    ] = False,
) -> None:
    """Make a version the champion. The move is recorded and cannot be erased."""
    with _asked() as client:
        made = client.promote(model, why, who=who, override=override)
    typer.echo(f"champion is version {made.id}")


@models.command()
def rollback(why: Why, who: Who = None) -> None:
    """Take back the last promotion that stands."""
    with _asked() as client:
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
    with _asked() as client:
        typer.echo(client.download_model(model, out, "run" if run else "bundle"))


@models.command("delete")
def delete_model(model: Annotated[int, typer.Argument(help="Number of the version.")]) -> None:
    """Remove the files of a version; its row, its number and its audits stay."""
    with _asked() as client:
        client.delete_model(model)
    typer.echo(f"the files of version {model} are removed")


@remote.command()
def predict(images: Images, model: ModelOption = "champion") -> None:
    """Predict images: a line of JSON each."""
    with _asked() as client:
        for some in _batches(images):
            for said in client.predictions(some, model).predictions:
                typer.echo(said.model_dump_json())


@remote.command()
def embed(images: Images, model: ModelOption = "champion") -> None:
    """Embed images: a line of JSON each."""
    with _asked() as client:
        for some in _batches(images):
            for said in client.embeddings(some, model).embeddings:
                typer.echo(said.model_dump_json())


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="Who will hold the key.")],
    role: Annotated[str, typer.Option(help="viewer, auditor, trainer or admin.")],
    expires: Annotated[str, typer.Option(help="Days it is good for, or 'never'.")] = "90d",
) -> None:
    """Make a key and print it, this once."""
    with _asked() as client:
        made = client.create_key(name, role, expires=expires)
    typer.echo(f"key {made.id} of {made.name}", err=True)
    typer.echo(made.key)


@keys.command("list")
def list_keys() -> None:
    """List the keys, the newest first, without their secrets."""
    with _asked() as client:
        _lines((k.id, k.role, k.revoked or k.expires, k.name) for k in tuple(client.keys()))


@keys.command()
def revoke(key: Annotated[str, typer.Argument(help="Id of the key.")]) -> None:
    """Take a key back."""
    with _asked() as client:
        client.revoke_key(key)
    typer.echo(f"{key} is revoked")


@contextmanager
def _asked() -> "Iterator[Client]":
    """A client; what the service refuses is told as other commands tell their errors."""
    from evaluation.cli import BAD_INPUT
    from service.client import Client, ServiceError

    try:
        with Client() as client:
            yield client
    except ServiceError as error:
        for line in error.detail.splitlines():
            typer.echo(f"Error: {line}", err=True)
        if error.status is not None and error.status >= 500 and error.request:
            typer.echo(f"Error: the service's log has it as {error.request}.", err=True)
        raise typer.Exit(BAD_INPUT) from None


def _begun(client: "Client", job: "Job", wait: bool) -> None:
    """Tell of a job that was begun; its id alone goes to standard output."""
    typer.echo(job.id)
    if wait:
        _watch(client, job.id)


def _watch(client: "Client", job: str) -> None:
    """Show a job's progress, and how it ended."""
    from evaluation.cli import BAD_INPUT

    try:
        with _bar() as tell:
            ended = client.wait(job, tell)
    except KeyboardInterrupt:
        typer.echo(f"Job {job} goes on: evenscan remote jobs watch {job}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{ended.state}: {ended.reason}", err=True)
    for name, link in ended.result.get("links", {}).items():
        typer.echo(f"{name}: {link}", err=True)
    if ended.state != "succeeded":
        raise typer.Exit(BAD_INPUT)


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


def _check_choice(file: bool, model: bool) -> None:
    from evaluation.errors import Fault, InputError

    if file == model:
        remedy = "Give --predictions, or --model and --cohort."
        raise InputError(Fault("audits create", "it is not clear what to audit", remedy))


def _policy(file: Path | None, name: str | None) -> dict[str, Any]:
    from evaluation.settings import read_toml

    given = {"policy": read_toml(file) if file is not None else None, "policy_name": name}
    return {key: value for key, value in given.items() if value is not None}


def _stopping(job: "Job") -> str:
    return job.state if job.ended else "stopping"


def _batches(images: list[Path]) -> Iterator[list[Path]]:
    for start in range(0, len(images), AT_ONCE):
        yield images[start : start + AT_ONCE]


def _lines(rows: Iterable[tuple[object, ...]]) -> None:
    for row in rows:
        typer.echo("\t".join("" if value is None else str(value) for value in row))


def _json(content: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(content, indent=1))
