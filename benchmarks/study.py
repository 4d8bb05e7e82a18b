"""Several run configs under several seeds become one table.

``python -m benchmarks.study benchmarks/ham10000 --seeds 3`` runs every TOML file of the folder
with seeds 0, 1, 2. A seed draws the split as well as the weights. Runs are kept in ``runs``, so
a second call only reads them. The table goes to ``benchmarks/results/<folder>.csv``.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from evaluation.files import atomic_path
from training.cohort import read_cohort
from training.config import RunConfig
from training.progress import steps
from training.run import Run, execute, run_id

RESULTS = Path(__file__).parent / "results"


def main(
    folder: Annotated[Path, typer.Argument(help="Folder of run configs.")],
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder in which runs are kept.")] = Path("runs"),
) -> None:
    """Run what is missing, then write and print the table."""
    rows = []
    for seed in range(seeds):
        for path in sorted(folder.glob("*.toml")):
            config = RunConfig.load(path).model_copy(update={"seed": seed})
            cohort = read_cohort(config.cohort)
            with steps() as on_step:
                run = execute(config, out / run_id(config, cohort), on_step, cohort)
            rows.append(row(run))
            typer.echo(f"seed {seed}, {path.stem}: done")
    table = pd.DataFrame(rows).sort_values(["method", "seed"])
    with atomic_path(RESULTS / f"{folder.name}.csv") as partial:
        table.to_csv(partial, index=False, float_format="%.4f")
    typer.echo(table.to_string(index=False, float_format="{:.3f}".format))
    means = table.groupby("method").mean(numeric_only=True).drop(columns="seed")
    typer.echo(f"\nMeans over {seeds} seeds")
    typer.echo(means.T.to_string(float_format="{:.3f}".format))


def row(run: Run) -> dict[str, object]:
    """What the table says of a run."""
    audit, shifted = run.audit, run.config.shift["attribute"]
    found: dict[str, object] = {"method": run.config.method["name"], "seed": run.config.seed}
    for group in ("all", "combination: seen", "combination: unseen"):
        estimate = audit.estimate("auroc", group)
        name = group.removeprefix("combination: ")
        found |= {
            name: estimate.value,
            f"{name}_low": estimate.low,
            f"{name}_high": estimate.high,
        }
    gap = audit.gap("auroc", shifted)
    found |= {"worst_group": gap.worst, "worst": gap.worst_value}
    found |= {"worst_low": gap.worst_low, "worst_high": gap.worst_high}
    found |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high}
    for latent in dict.fromkeys(each.latent for each in audit.leakage):
        leaked = audit.leaked(shifted, latent)
        found[f"{latent}_leakage"] = leaked.auroc
        found[f"{latent}_chance"] = leaked.chance_high
    return found | {"verdict": audit.verdict}


if __name__ == "__main__":
    typer.run(main)
