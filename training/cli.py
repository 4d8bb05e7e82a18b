"""Commands of the training package. Nothing heavy is imported before a command runs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer()
cohort_app = typer.Typer(help="Look at cohorts, and make one.", no_args_is_help=True)
app.add_typer(cohort_app, name="cohort")


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="TOML file of the run.")],
    out: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("runs"),
) -> None:
    """Train a model, audit it on its test rows and write a run directory.

    A run that was interrupted goes on from its last epoch; one that is there already is shown.
    Exit codes are those of the audit: 0 PASS, 3 FAIL, 4 INSUFFICIENT; without a policy 0.
    """
    from evaluation.cli import EXIT_CODES
    from evaluation.report import summary
    from training.cohort import read_cohort
    from training.config import RunConfig
    from training.progress import steps
    from training.run import execute, run_id

    settings = RunConfig.load(config)
    cohort = read_cohort(settings.cohort)
    directory = out / run_id(settings, cohort)
    try:
        with steps() as on_step:
            run = execute(settings, directory, on_step, cohort)
    except KeyboardInterrupt:
        typer.echo("Interrupted. The same command goes on from the last epoch.", err=True)
        raise typer.Exit(130) from None
    console = Console()
    console.print(summary(run.audit))
    console.print(f"Run: {run.directory}", soft_wrap=True)
    console.print(f"Report: {run.directory / 'report.html'}", soft_wrap=True)
    raise typer.Exit(EXIT_CODES[run.audit.verdict] if run.audit.verdict else 0)


@cohort_app.command("check")
def check(
    cohort: Annotated[Path, typer.Argument(help="TOML file of the cohort.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of its data. Default: EVENSCAN_DATA / root.")
    ] = None,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Decode every image too.")
    ] = True,
) -> None:
    """Read a cohort and list everything that is wrong with it."""
    from training.cache import check_images
    from training.cohort import CohortSchema, read_cohort
    from training.making import Step
    from training.progress import steps

    found = read_cohort(CohortSchema.load(cohort), data)
    if images:
        with steps() as on_step:
            check_images(found, lambda done, total: on_step(Step("decoding", done, total)))
    Console().print(str(found), soft_wrap=True)


@cohort_app.command("write")
def write(
    cohort: Annotated[Path, typer.Argument(help="TOML file of a phantom cohort.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
) -> None:
    """Write a generated cohort as image files, with its truth beside it."""
    from training.cohort import CohortSchema
    from training.formats.phantom import write_phantom
    from training.making import Step
    from training.progress import steps

    schema = CohortSchema.load(cohort)
    with steps() as on_step:
        write_phantom(schema, out, lambda done, total: on_step(Step("drawing", done, total)))
    Console().print(f"Written: {out}", soft_wrap=True)
