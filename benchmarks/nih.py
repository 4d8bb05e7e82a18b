"""A full multilabel audit of five published chest X-ray models, from their predictions alone.

The predictions of Seyyed-Kalantari et al. (Nature Medicine 27, 2176, 2021) on 6,373 test images
of 1,835 patients of NIH ChestX-ray14, with the decisions that the authors made at thresholds
chosen on validation rows. Their folder is looked for in EVENSCAN_DATA.
"""

import os
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from evaluation.audit import Audit
from evaluation.cli import progress
from evaluation.report import write
from evaluation.request import AuditRequest

HERE = Path(__file__).parent
ATTRIBUTES = ("sex", "age", "view")
SEEDS = (11, 37, 45, 62, 76)


def main(
    out: Annotated[Path, typer.Option(help="Folder for tables and audits.")] = Path("nih"),
    seeds: Annotated[int, typer.Option(help="How many of the five models.")] = len(SEEDS),
) -> None:
    """Audit each model under the screening policy and keep what came out as one table."""
    data = Path(os.environ.get("EVENSCAN_DATA", "data")) / "nih_preds_natmed2021"
    if not data.is_dir():
        raise typer.BadParameter(f"{data} is not there; set EVENSCAN_DATA to its parent folder")
    rows = []
    for seed in SEEDS[:seeds]:
        path = out / f"seed{seed}.csv"
        predictions(data, seed).pipe(_written, path)
        request = AuditRequest.load(HERE / "nih" / "audit.toml")
        with progress(f"seed {seed}") as advance:
            audit = request.run(path, "screening", on_progress=advance)
        write(audit, out / f"seed{seed}")
        rows += summary(audit, seed)
    if seeds == len(SEEDS):
        table = pd.DataFrame(rows).round(4)
        table.to_csv(HERE / "results" / "nih.csv", index=False)


def predictions(data: Path, seed: int) -> pd.DataFrame:
    """One model's scores and decisions beside the truth, in the columns of an audit."""
    truth = pd.read_csv(data / "truth_and_attributes.csv")
    made = pd.read_csv(data / "predictions.csv.gz").query("seed == @seed")
    table = truth.merge(made, on="image_id", validate="one_to_one")
    findings = [name.removeprefix("prob_") for name in made if name.startswith("prob_")]
    names = {"image_id": "sample", "patient_id": "patient"}
    for finding in findings:
        names |= {
            finding: f"label_{finding}",
            f"prob_{finding}": f"score_{finding}",
            f"bi_{finding}": f"decision_{finding}",
        }
    kept = [*names, "age", "sex", "view"]
    return table[kept].rename(columns=names)


def _written(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def summary(audit: Audit, seed: int) -> list[dict[str, object]]:
    """What the README's table says of one model."""
    found = []
    for target in ("macro", *audit.targets):
        everyone = audit.estimate("auroc", target=target)
        gaps = {name: audit.gap("auroc", name, target=target) for name in ATTRIBUTES}
        row: dict[str, object] = {"seed": seed, "target": target, "auroc": everyone.value}
        row |= {"auroc_low": everyone.low, "auroc_high": everyone.high}
        for name, gap in gaps.items():
            row |= {f"{name}_gap": gap.value, f"{name}_gap_low": gap.low}
            row |= {f"{name}_gap_high": gap.high, f"{name}_worst": gap.worst}
        found.append(row | {"verdict": audit.verdict})
    return found


if __name__ == "__main__":
    typer.run(main)
