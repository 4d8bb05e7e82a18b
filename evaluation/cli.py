"""The root command ``evenscan``; training and service join through their entry points."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, NoReturn

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
    attributes: Annotated[str, typer.Option(help="Columns that make groups, such as sex,age.")],
    policy: Annotated[Path, typer.Option(help="TOML file of what must hold.")],
    out: Annotated[Path, typer.Option(help="Folder for audit.json and report.html.")],
    bins: Annotated[
        list[str] | None,
        typer.Option(help="Inner edges of a numeric attribute: age=40,60. May be repeated."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Decide positive from this score on. Default: chosen on the "
            "validation rows, else 0.5."
        ),
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file: sample, content_*, style_*.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Names with commas. Default: the six of the README.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Bootstrap draws over patients.")] = 1000,
    depth: Annotated[int, typer.Option(help="Attributes crossed at most, 1 to 3.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    sample: Annotated[str, typer.Option(help="Column of the sample id.")] = "sample",
    patient: Annotated[str, typer.Option(help="Column of the patient id.")] = "patient",
    label: Annotated[str, typer.Option(help="Column of the label, 0 or 1.")] = "label",
    score: Annotated[str, typer.Option(help="Column of the score in [0, 1].")] = "score",
    one_image_per_patient: Annotated[
        bool, typer.Option("--one-image-per-patient", help="Every row is another patient.")
    ] = False,
) -> None:
    """Audit a model's predictions under a policy.

    Exit codes: 0 PASS, 3 FAIL, 4 INSUFFICIENT evidence; 1 bad input, 2 wrong usage.
    """
    from evaluation.audit import audit as run
    from evaluation.embeddings import Embeddings
    from evaluation.policy import Policy
    from evaluation.predictions import Columns, Predictions
    from evaluation.report import summary, write
    from evaluation.spec import AuditSpec

    names = _listed(attributes)
    edges = _edges(bins or [], names)
    spec = AuditSpec.parse(
        {
            "attributes": [{"name": name, "bins": edges.get(name, ())} for name in names],
            "threshold": threshold,
            "draws": draws,
            "depth": depth,
            "seed": seed,
            **({"metrics": _listed(metrics)} if metrics else {}),
        },
        "command line",
    )
    columns = Columns(
        sample=sample,
        patient=None if one_image_per_patient else patient,
        label=label,
        score=score,
    )
    rules = Policy.load(policy)
    table = Predictions.read(predictions, names, columns)
    latents = Embeddings.read(embeddings) if embeddings else None
    with progress("bootstrap") as advance:
        found = run(table, spec, rules, latents, on_progress=advance)
    report = write(found, out)
    console = Console()
    console.print(summary(found))
    console.print(f"Report: {report}", soft_wrap=True)
    raise typer.Exit(EXIT_CODES[found.verdict or "INSUFFICIENT"])


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, which disappears when the work is done."""
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _edges(bins: list[str], names: list[str]) -> dict[str, tuple[float, ...]]:
    edges = {}
    for text in bins:
        name, _, numbers = text.partition("=")
        try:
            edges[name] = tuple(float(number) for number in numbers.split(","))
        except ValueError:
            remedy = "Write the inner edges like --bins age=40,60."
            raise InputError(Fault("--bins", f"'{text}' is not understood", remedy)) from None
        if name not in names:
            remedy = f"Attributes: {', '.join(names)}."
            raise InputError(Fault("--bins", f"'{name}' is not among the attributes", remedy))
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
        extra = "training" if error.name in _TRAINING else "service"
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


_TRAINING = {"torch", "monai", "PIL", "onnx", "onnxruntime", "safetensors"}
