"""Methods, shifts, sizes and seeds become one table, with paired differences.

``python -m benchmarks.study benchmarks/studies/ham10000.toml`` makes every run that the file
asks for. A seed draws the split as well as the weights. Runs are kept in ``runs``, so a second
call only reads those that are there. The table goes to ``benchmarks/results/<name>.csv``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from evaluation.audited_rows import AuditedRows
from evaluation.compare import Champion, Comparison, compare
from evaluation.files import atomic_path
from evaluation.groups import make_groups
from evaluation.intervals import percentile_interval
from evaluation.metric import METRICS
from evaluation.predictions import Predictions
from evaluation.settings import Settings, read_toml
from training.cohort import CohortSchema, read_cohort
from training.config import RunConfig
from training.progress import steps
from training.run import Run, execute, run_id

RESULTS = Path(__file__).parent / "results"


class Part(Settings):
    """Runs of every method under every shift, all at one size.

    Attributes:
        size: Of the images, in pixels.
        methods: Names of ``Study.methods``.
        shifts: Names of ``Study.shifts``.
    """

    size: int
    methods: tuple[str, ...]
    shifts: tuple[str, ...]


class Study(Settings):
    """Which runs.

    Attributes:
        seeds: How many; they are 0, 1 ...
        run: What all runs have in common: settings of a run without method, shift, size, seed.
            The audit's attribute is the shifted one.
        methods: Name to settings of a method.
        against: Method to the one that it is compared with, which stands before it in its
            parts. Others are references.
        shifts: Name to settings of a shift.
        parts: What to run.
    """

    seeds: int
    run: dict[str, Any]
    methods: dict[str, dict[str, Any]]
    against: dict[str, str]
    shifts: dict[str, dict[str, Any]]
    parts: tuple[Part, ...]

    def cells(self) -> Iterator[tuple[int, str, int, str]]:
        """Size, shift, seed and method of each run."""
        for part in self.parts:
            for shift in part.shifts:
                for seed in range(self.seeds):
                    yield from ((part.size, shift, seed, method) for method in part.methods)


def main(
    study: Annotated[Path, typer.Argument(help="TOML file of the study.")],
    out: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("runs"),
) -> None:
    """Run what is missing, then write and print the table."""
    asked = Study.parse(read_toml(study), str(study))
    base = {**asked.run, "cohort": CohortSchema.load(study.parent / asked.run["cohort"])}
    cohort = read_cohort(base["cohort"])
    rows: list[dict[str, object]] = []
    runs: dict[tuple[int, str, int, str], Run] = {}
    for size, shift, seed, method in asked.cells():
        shifted = {"attributes": [asked.shifts[shift]["attribute"]]}
        settings = {"method": asked.methods[method], "shift": asked.shifts[shift]}
        settings["audit"] = base.get("audit", {}) | shifted
        config = RunConfig.parse(base | settings | {"size": size, "seed": seed}, str(study))
        with steps() as on_step:
            run = execute(config, out / run_id(config, cohort), on_step, cohort)
        runs[size, shift, seed, method] = run
        against = asked.against.get(method, method)
        named = {"shift": shift, "size": size, "method": method, "against": against}
        gain = paired(run, runs[size, shift, seed, against])
        rows.append(named | {"seed": seed} | row(run) | gain)
        with atomic_path(RESULTS / f"{study.stem}.csv") as partial:
            pd.DataFrame(rows).to_csv(partial, index=False, float_format="%.4f")
        typer.echo(f"{shift}, {size} px, seed {seed}, {method}: done")
    typer.echo(markdown(pd.DataFrame(rows)))


def row(run: Run) -> dict[str, object]:
    """What the table says of a run."""
    audit, shifted = run.audit, run.config.shift["attribute"]
    known = {estimate.group for estimate in audit.estimates}
    found: dict[str, object] = {}
    for group in ("all", "combination: seen", "combination: unseen"):
        name = group.removeprefix("combination: ")
        estimate = audit.estimate("auroc", group) if group in known else None
        found |= {
            name: estimate.value if estimate else np.nan,
            f"{name}_low": estimate.low if estimate else np.nan,
            f"{name}_high": estimate.high if estimate else np.nan,
        }
    gap = audit.gap("auroc", shifted)
    found |= {"worst_group": gap.worst, "worst": gap.worst_value}
    found |= {"worst_low": gap.worst_low, "worst_high": gap.worst_high}
    found |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high}
    for latent in ("content", "style"):
        probed = [each for each in audit.leakage if each.latent == latent]
        leaked = audit.leaked(shifted, latent) if probed else None
        found[f"{latent}_leakage"] = leaked.auroc if leaked else np.nan
        found[f"{latent}_chance"] = leaked.chance_high if leaked else np.nan
    return found | {"verdict": audit.verdict}


def paired(run: Run, reference: Run) -> dict[str, float]:
    """AUROC of the run minus that of the reference, on the same resampled patients.

    Overall, and in the worst group of the shifted attribute; a group without both classes is
    never the worst. The worst group may be another one in each model.
    """
    (mine, ours), (theirs, _) = _rows(run), _rows(reference)
    champion = Champion("reference", theirs.predictions, theirs.thresholds)
    shifted = {run.config.shift["attribute"]: ours}
    groups = make_groups(shifted, 1, len(mine.predictions.table))
    metrics = [METRICS.get("auroc")]
    found = compare(mine.predictions, mine.targets, champion, groups, metrics, mine.resampling)
    differences = {"all": _overall(found), "worst": _worst(found)}
    table = {}
    for name, (value, draws) in differences.items():
        low, high, _ = percentile_interval(draws, mine.spec.confidence)
        table |= {f"{name}_gain": value, f"{name}_gain_low": low, f"{name}_gain_high": high}
    return table


def _rows(run: Run) -> tuple[AuditedRows, pd.Categorical]:
    names = [attribute.name for attribute in run.config.audit.attributes]
    predictions = Predictions.read(run.directory / "predictions.parquet", names)
    rows = AuditedRows.of(predictions, run.config.audit)
    return rows, rows.values[run.config.shift["attribute"]]


Draws = NDArray[np.floating[Any]]


def _overall(found: Comparison) -> tuple[float, Draws]:
    point, draws = found.change(0)
    return float(point[0]), draws[:, 0]


def _worst(found: Comparison) -> tuple[float, Draws]:
    ranked = np.isfinite(found.ours.point[1:, 0]) & np.isfinite(found.theirs.point[1:, 0])
    columns = 1 + np.flatnonzero(ranked)
    cubes = (found.ours, found.theirs)
    points = [cube.point[columns, 0].min() for cube in cubes]
    draws = [np.nanmin(cube.draws[:, columns, 0], axis=1) for cube in cubes]
    return float(points[0] - points[1]), draws[0] - draws[1]


def markdown(table: pd.DataFrame) -> str:
    """The table of the README: means over seeds, and what the paired intervals say.

    ``2 of 3 up`` means that in two seeds of three the whole paired interval is above 0; nothing
    is said where no interval leaves 0 out.
    """
    lines = [
        "| shift | size | method | AUROC | worst group | gap | content leakage | style leakage "
        "| against | gain in AUROC | gain in worst group |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    named = ["shift", "size", "method", "against"]
    for (shift, size, method, against), part in table.groupby(named, sort=False):
        means = [
            _mean(part[name])
            for name in ("all", "worst", "gap", "content_leakage", "style_leakage")
        ]
        gains = ["-", "-", "-"]
        if against != method:
            gains = [against, *(_gain(part, name) for name in ("all", "worst"))]
        cells = [shift, f"{size} px", method, *means, *gains]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _mean(values: pd.Series) -> str:
    return f"{values.mean():.2f}" if values.notna().any() else "-"


def _gain(part: pd.DataFrame, name: str) -> str:
    values, seeds = part[f"{name}_gain"], len(part)
    up = int((part[f"{name}_gain_low"] > 0).sum())
    down = int((part[f"{name}_gain_high"] < 0).sum())
    said = [f"{n} of {seeds} {word}" for n, word in ((up, "up"), (down, "down")) if n]
    return f"{values.mean():+.2f} ({', '.join(said) or 'no difference'})"


if __name__ == "__main__":
    typer.run(main)
