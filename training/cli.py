"""Commands of the training package. Nothing heavy is imported before a command runs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

#: Height and width that images are checked at; any is as good, as what it makes is not kept.
CHECKED_SIZE = 64

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
    Exit codes are those of the audit: 0 PASS, 3 FAIL, 4 INSUFFICIENT; without a policy 0. Under
    torchrun all processes train, each with its part of every batch, and the first does the
    rest; torchrun itself exits with 1 whatever the code, unless it is 0.
    """
    from evaluation.cli import EXIT_CODES
    from evaluation.report import summary
    from training.cohort import read_cohort
    from training.config import RunConfig
    from training.distributed import launched
    from training.progress import steps
    from training.run import assist, execute, run_id

    settings = RunConfig.load(config)
    try:
        with launched() as world:
            cohort = read_cohort(settings.cohort)
            directory = out / run_id(settings, cohort)
            if world.rank:
                return assist(settings, directory, cohort)
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


@app.command()
def counterfactual(
    run: Annotated[Path, typer.Argument(help="Directory of a finished run with a decoder.")],
    classifier: Annotated[
        list[Path] | None,
        typer.Option(help="ONNX file of another classifier to look at. May be repeated."),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="Exchange styles between its groups. May be repeated. Default: all."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Of the other classifiers. Default: from the validation rows."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Test images at most. Default: as the run says, 2000.")
    ] = None,
    partners: Annotated[
        str | None, typer.Option(help="Styles of each other group, or of one: each, one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. Default: RUN/counterfactual.")
    ] = None,
) -> None:
    """Exchange the styles of test images between patients and see how predictions move."""
    from evaluation.effects_table import effects_summary
    from training.examination import examine
    from training.progress import steps

    options = {"samples": samples, "partners": partners}
    folder = out or run / "counterfactual"
    with steps() as on_step:
        audit = examine(
            run,
            folder,
            on_step,
            classifiers=classifier or (),
            attributes=attribute or (),
            threshold=threshold,
            options={name: value for name, value in options.items() if value is not None},
        )
    console = Console()
    console.print(effects_summary(audit))
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)


@app.command()
def bundle(
    run: Annotated[Path, typer.Argument(help="Directory of a finished run.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
) -> None:
    """Write a finished run as a MONAI bundle: model, configuration, verdict and card."""
    from training.bundle import write_bundle

    write_bundle(run, out)
    Console().print(f"Written: {out}", soft_wrap=True)


@cohort_app.command("check")
def check(
    cohort: Annotated[Path, typer.Argument(help="TOML file of the cohort.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of its data. Default: EVENSCAN_DATA / root.")
    ] = None,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Decode every image too.")
    ] = True,
    channels: Annotated[
        int, typer.Option(min=1, max=4, help="Channels that the model will take.")
    ] = 3,
    dimensions: Annotated[
        int, typer.Option(min=2, max=3, help="2 for a model of images, 3 of volumes.")
    ] = 2,
) -> None:
    """Read a cohort and list everything that is wrong with it."""
    from training.cache import check_images
    from training.cohort import CohortSchema, read_cohort
    from training.imaging import InputContract
    from training.making import Step
    from training.progress import steps

    found = read_cohort(CohortSchema.load(cohort), data)
    if images:
        contract = InputContract.parse(
            {"size": CHECKED_SIZE, "channels": channels, "dimensions": dimensions}, "options"
        )
        with steps() as on_step:
            check_images(
                found, contract, lambda done, total: on_step(Step("decoding", done, total))
            )
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
