"""The root command ``evenscan``; training and service join through their entry points."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from evaluation.errors import Fault, InputError

PASS, BAD_INPUT, FAIL, INSUFFICIENT = 0, 1, 3, 4
EXIT_CODES = {"PASS": PASS, "FAIL": FAIL, "INSUFFICIENT": INSUFFICIENT}

app = typer.Typer(
    name="evenscan",
    help="Audit, repair and guard diagnostic image models under attribute shift.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def root() -> None:
    """Audit, repair and guard diagnostic image models under attribute shift."""


@app.command()
def audit(
    predictions: Annotated[Path, typer.Argument(help="CSV or Parquet file of predictions.")],
    policy: Annotated[
        str, typer.Option(help="What must hold: a name, such as screening, or a TOML file.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for report, tables and audit.json.")],
    attributes: Annotated[
        str | None, typer.Option(help="Columns that make groups, such as sex,age.")
    ] = None,
    bins: Annotated[
        list[str] | None,
        typer.Option(help="Inner edges of a numeric attribute: age=40,60. May be repeated."),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="TOML file of these and further settings; options override it."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Decide positive from this score on. Default: chosen on the "
            "validation rows, else 0.5."
        ),
    ] = None,
    threshold_rows: Annotated[
        str | None,
        typer.Option(help="Rows that choose, or chose, the threshold: validation or test."),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(help="CSV or Parquet file: sample, content_*, style_*, pixels_*."),
    ] = None,
    counterfactuals: Annotated[
        Path | None,
        typer.Option(help="CSV or Parquet file of scores after an exchange of styles."),
    ] = None,
    champion: Annotated[
        Path | None, typer.Option(help="Predictions of the model to compare with.")
    ] = None,
    about: Annotated[
        Path | None, typer.Option(help="TOML file of facts about the model, for the cards.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Names with commas. Default: those of the README.")
    ] = None,
    adjust: Annotated[
        str | None, typer.Option(help="Attributes (or label) to adjust disparities for.")
    ] = None,
    healthy: Annotated[
        str | None, typer.Option(help="Targets whose positive label means nothing was found.")
    ] = None,
    draws: Annotated[int | None, typer.Option(help="Bootstrap draws. Default 1000.")] = None,
    depth: Annotated[int | None, typer.Option(help="Attributes crossed, 1 to 3.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all chance. Default 0.")] = None,
    sample: Annotated[str | None, typer.Option(help="Column of the sample id.")] = None,
    patient: Annotated[str | None, typer.Option(help="Column of the patient id.")] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of the label, or how label_<finding> begins.")
    ] = None,
    score: Annotated[
        str | None, typer.Option(help="Column of the score, or how score_<class> begins.")
    ] = None,
    decision: Annotated[
        str | None, typer.Option(help="Column of the decision, or how decision_<...> begins.")
    ] = None,
    weight: Annotated[str | None, typer.Option(help="Column of the row's weight.")] = None,
    image_hash: Annotated[
        str | None, typer.Option("--hash", help="Column of an image hash, to find duplicates.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The label's value that is positive, if it is a word.")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Classes or findings with commas. Default: all.")
    ] = None,
    one_image_per_patient: Annotated[
        bool, typer.Option("--one-image-per-patient", help="Every row is another patient.")
    ] = False,
    shareable: Annotated[
        bool, typer.Option("--shareable", help="Do not show groups of fewer than 11 patients.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write report.pdf too.")] = False,
) -> None:
    """Audit a model's predictions under a policy.

    Exit codes: 0 PASS, 3 FAIL, 4 INSUFFICIENT evidence; 1 bad input, 2 wrong usage.
    """
    from evaluation.request import AuditRequest
    from evaluation.settings import read_toml

    columns = {
        "sample": sample,
        "patient": patient,
        "label": label,
        "score": score,
        "decision": decision,
        "weight": weight,
        "hash": image_hash,
        "positive": positive,
        "targets": _listed(targets),
    }
    options = {
        "metrics": _listed(metrics),
        "confounders": _listed(adjust),
        "healthy": _listed(healthy),
        "threshold": threshold,
        "threshold_rows": threshold_rows,
        "draws": draws,
        "depth": depth,
        "seed": seed,
    }
    request = AuditRequest.gather(
        read_toml(settings) if settings else {},
        str(settings) if settings else "command line",
        _listed(attributes),
        _edges(bins or []),
        {name: value for name, value in options.items() if value is not None},
        {name: value for name, value in columns.items() if value is not None},
        one_image_per_patient=one_image_per_patient,
    )
    _check_writing(out, pdf=pdf)
    with progress("reading") as advance:
        found = request.run(
            predictions, policy, embeddings, champion, about, advance, counterfactuals
        )
    _write(found, out, shareable=shareable, pdf=pdf)


@app.command()
def report(
    audit: Annotated[Path, typer.Argument(help="An audit.json.")],
    out: Annotated[Path, typer.Option(help="Folder for report, tables and audit.json.")],
    shareable: Annotated[
        bool, typer.Option("--shareable", help="Do not show groups of fewer than 11 patients.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write report.pdf too.")] = False,
) -> None:
    """Write the report and tables of an audit again, or in a form to be shared."""
    from evaluation.audit import Audit
    from evaluation.evidence_chain import verify as check

    _check_writing(out, pdf=pdf)
    chain = audit.parent / "evidence.jsonl"
    faults = check(chain, audit.parent) if chain.is_file() else []
    if changed := [each for each in faults if each.where in (str(chain), str(audit))]:
        raise InputError(*changed)
    _write(Audit.read(audit), out, shareable=shareable, pdf=pdf)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder that an audit was written to.")],
    last: Annotated[
        str | None, typer.Option(help="Last hash, if it was kept elsewhere: shows a cut end.")
    ] = None,
) -> None:
    """Check that nothing in an audit's folder was changed since: the evidence chain holds."""
    from evaluation.evidence_chain import append
    from evaluation.evidence_chain import verify as check

    chain = folder / "evidence.jsonl"
    if faults := check(chain, folder, last):
        raise InputError(*faults)
    Console().print(f"The evidence chain holds. Last hash: {append(chain, [])}", soft_wrap=True)


def _check_writing(out: Path, *, pdf: bool) -> None:
    """Refuse before the long work what would be refused after it."""
    if out.exists() and not out.is_dir():
        raise InputError(Fault(str(out), "it is a file", "Name a folder with --out."))
    if pdf:
        from evaluation.pdf import weasyprint_module

        weasyprint_module()


def _write(found: Any, out: Path, *, shareable: bool, pdf: bool) -> None:
    """Write what was found, show a summary, and exit with the verdict."""
    from evaluation.report import summary, write
    from evaluation.shareable import shareable as suppressed

    found = suppressed(found) if shareable else found
    page = write(found, out, pdf=pdf)
    console = Console()
    console.print(summary(found))
    console.print(f"Report: {page}", soft_wrap=True)
    raise typer.Exit(EXIT_CODES[found.verdict or "INSUFFICIENT"])


@contextmanager
def progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on standard error, which disappears when the work is done."""
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda step, done, total: bar.update(
            task, description=step, completed=done, total=total
        )


def _listed(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def _edges(bins: list[str]) -> dict[str, list[float]]:
    edges = {}
    for text in bins:
        name, _, numbers = text.partition("=")
        try:
            edges[name] = [float(number) for number in numbers.split(",")]
        except ValueError:
            remedy = "Write the inner edges like --bins age=40,60."
            raise InputError(Fault("--bins", f"'{text}' is not understood", remedy)) from None
    return edges


def _join_commands() -> None:
    """Add the commands of the installed packages to the root."""
    for point in sorted(entry_points(group="evenscan.commands"), key=lambda each: each.name):
        app.add_typer(point.load())


def main() -> None:
    """Run the command line; bad input is a message and exit code 1, never a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _join_commands()
    try:
        app()
    except InputError as error:
        _refuse(*map(str, error.faults))
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "", "service")
        _refuse(
            f"this command needs the package '{error.name}'. "
            f"Install it with: pip install 'evenscan[{extra}]'"
        )
    except OSError as error:
        _refuse(
            f"{error.filename or 'system'}: {error.strerror or error}. Check path and disk."
        )


def _refuse(*lines: str) -> NoReturn:
    for line in lines:
        sys.stderr.write(f"Error: {line}\n")
    sys.exit(BAD_INPUT)


_TRAINING = ("torch", "monai", "PIL", "onnx", "onnxruntime", "safetensors")
_EXTRAS = dict.fromkeys(_TRAINING, "training") | {"weasyprint": "pdf"}
