"""Commands about the audits of a service."""

from pathlib import Path
from typing import Annotated, Any

import typer

from service.remote.asked import as_json, asked, begun, lines
from service.remote.options import Pdf, Policy, PolicyName, Watch, given, toml_of

audits = typer.Typer(help="Audits of the service.", no_args_is_help=True)

AuditId = Annotated[str, typer.Argument(help="Id of the audit.")]
CohortOption = Annotated[str | None, typer.Option(help="Id of a cohort.")]
Rows = Annotated[
    str | None,
    typer.Option(help="Of the cohort: 'unseen' by the model (the default), or 'all'."),
]


@audits.command("create")
def create_audit(
    predictions: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file of predictions.")
    ] = None,
    champion: Annotated[
        Path | None, typer.Option(help="Predictions to compare them with.")
    ] = None,
    attributes: Annotated[
        str, typer.Option(help="Columns that make groups, with commas.")
    ] = "",
    settings: Annotated[
        Path | None, typer.Option(help="TOML file with the tables audit and columns.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Or: a version, on a cohort.")] = None,
    cohort: CohortOption = None,
    rows: Rows = None,
    policy: Policy = None,
    policy_name: PolicyName = None,
    pdf: Pdf = False,
    watch: Watch = False,
) -> None:
    """Audit a predictions file, alone or against a champion's, or a model on a cohort."""
    file = given(predictions=predictions, champion=champion)
    on = given(model=model, cohort=cohort, rows=rows)
    _check_choice(file, on)
    names = [name for name in attributes.split(",") if name]
    with asked() as client:
        if predictions is not None:
            job = client.audit_file(
                predictions,
                names,
                champion=champion,
                settings=settings,
                policy=policy,
                policy_name=policy_name,
                pdf=pdf,
            )
        else:
            on |= given(audit=_overrides(settings, names), policy=toml_of(policy))
            job = client.audit_model(**on, **given(policy_name=policy_name, pdf=pdf))
        begun(client, job, watch)


@audits.command()
def compare(
    challenger: Annotated[str, typer.Argument(help="Version or alias, or id of an audit.")],
    champion: Annotated[str, typer.Argument(help="What it is compared with, likewise.")],
    cohort: CohortOption = None,
    rows: Rows = None,
    policy: Policy = None,
    policy_name: PolicyName = None,
    pdf: Pdf = False,
    watch: Watch = False,
) -> None:
    """Compare two models on a cohort, or two audits."""
    terms = given(rows=rows, policy=toml_of(policy), policy_name=policy_name, pdf=pdf)
    with asked() as client:
        begun(client, client.compare(challenger, champion, cohort, **terms), watch)


@audits.command("list")
def list_audits() -> None:
    """List the audits, the newest first."""
    with asked() as client:
        lines((a.id, a.verdict, a.model, a.against, a.created) for a in client.audits())


@audits.command("show")
def show_audit(audit: AuditId) -> None:
    """Show an audit in a few words, as JSON."""
    with asked() as client:
        as_json(client.audit_summary(audit).model_dump(mode="json"))


@audits.command("download")
def download_audit(
    audit: AuditId,
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    shareable: Annotated[
        bool, typer.Option("--shareable", help="Without groups that tell of a patient.")
    ] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="The report as PDF too, if it was made with it.")
    ] = False,
) -> None:
    """Write findings, report, tables and cards of an audit to a folder."""
    with asked() as client:
        for path in client.download_audit(audit, out, shareable=shareable, pdf=pdf):
            typer.echo(path)


def _check_choice(file: dict[str, Any], on: dict[str, Any]) -> None:
    """Refuse what is neither a file's audit nor a model's, or both.

    Raises:
        InputError: It is.
    """
    from evaluation.errors import Fault, InputError

    whole = "predictions" in file or {"model", "cohort"} <= set(on)
    if not whole or (file and on):
        remedy = (
            "Give --predictions and maybe --champion, or --model, --cohort and maybe --rows."
        )
        raise InputError(Fault("audits create", "it is not clear what to audit", remedy))


def _overrides(settings: Path | None, attributes: list[str]) -> dict[str, Any]:
    """What is changed of the settings that a model's own audit was made with.

    Raises:
        InputError: The file has more than they are: a cohort says itself what its columns are.
    """
    from evaluation.errors import Fault, InputError

    tables = toml_of(settings) or {}
    audit = tables.pop("audit", {})
    if tables or not isinstance(audit, dict):
        remedy = "For a model, leave the rest out."
        raise InputError(Fault(str(settings), "it holds more than a table 'audit'", remedy))
    return audit | ({"attributes": attributes} if attributes else {})
