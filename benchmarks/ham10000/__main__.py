"""Both methods, three seeds: ``EVENSCAN_DATA=... python -m benchmarks.ham10000``.

A seed draws the split as well as the weights. Runs are kept in ``runs``, so that a second call
only reads them.
"""

from pathlib import Path

import pandas as pd

from evaluation.audit import Audit
from evaluation.files import atomic_path
from training.cohort import read_cohort
from training.config import RunConfig
from training.progress import steps
from training.run import Run, execute, run_id

HERE = Path(__file__).parent
RESULT = HERE.parent / "results" / "ham10000.csv"
SEEDS = (0, 1, 2)


def main() -> None:
    """Run what is missing, then write and print the table."""
    rows = []
    for seed in SEEDS:
        for name in ("erm", "clear_vae"):
            config = RunConfig.load(HERE / f"{name}.toml").model_copy(update={"seed": seed})
            cohort = read_cohort(config.cohort)
            with steps() as on_step:
                run = execute(config, Path("runs") / run_id(config, cohort), on_step, cohort)
            rows.append(row(run))
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).sort_values(["method", "seed"])
    with atomic_path(RESULT) as partial:
        table.to_csv(partial, index=False, float_format="%.4f")
    print(table.to_string(index=False, float_format="{:.3f}".format))


def row(run: Run) -> dict[str, object]:
    """What the table says of a run."""
    audit = run.audit
    found: dict[str, object] = {"method": run.config.method["name"], "seed": run.config.seed}
    for group in ("all", "combination: seen", "combination: unseen"):
        estimate = audit.estimate("auroc", group)
        name = group.removeprefix("combination: ")
        found |= {
            name: estimate.value,
            f"{name}_low": estimate.low,
            f"{name}_high": estimate.high,
        }
    gap = audit.gap("auroc", "source")
    found |= {"worst_source": gap.worst, "worst": gap.worst_value}
    found |= {"worst_low": gap.worst_low, "worst_high": gap.worst_high}
    found |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high}
    found |= leakage(audit)
    return found | {"verdict": audit.verdict}


def leakage(audit: Audit) -> dict[str, object]:
    """Leakage of the source from content and style."""
    return {
        f"{each.latent}_leakage": each.auroc
        for each in audit.leakage
        if each.attribute == "source"
    }


if __name__ == "__main__":
    main()
