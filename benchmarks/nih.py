"""A full multilabel audit of five published chest X-ray models, from their predictions alone.

The predictions of Seyyed-Kalantari et al. (Nature Medicine 27, 2176, 2021) on 6,373 test images
of 1,835 patients of NIH ChestX-ray14, with the decisions that the authors made at thresholds
chosen on validation rows. Their folder is looked for in EVENSCAN_DATA.
"""

import os
import time
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
        started = time.process_time()
        path = out / f"seed{seed}.csv"
        predictions(data, seed).pipe(_written, path)
        request = AuditRequest.load(HERE / "nih" / "audit.toml")
        with progress(f"seed {seed}") as advance:
            audit = request.run(path, "screening", on_progress=advance)
        write(audit, out / f"seed{seed}")
        rows += summary(audit, seed)
        size = (out / f"seed{seed}" / "report.html").stat().st_size
        seconds = time.process_time() - started
        print(f"seed {seed}: {seconds:.0f} CPU seconds, report of {size / 1e6:.2f} MB")
    table = pd.DataFrame(rows).round(4)
    if seeds == len(SEEDS):
        table.to_csv(HERE / "results" / "nih.csv", index=False)
    print(markdown(table))


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


def markdown(table: pd.DataFrame) -> str:
    """The README's table: a line a finding, ranges over the models."""
    lines = ["| finding | AUROC, five models | gap by sex | gap by age | gap by view |"]
    lines.append("|---|---|---|---|---|")
    for target, models in table.groupby("target", sort=False):
        name = {"macro": "mean of all"}.get(str(target), str(target).replace("_", " "))
        auroc = f"{models['auroc'].min():.3f}-{models['auroc'].max():.3f}"
        gaps = " | ".join(_gap(models, attribute) for attribute in ATTRIBUTES)
        lines.append(f"| {name} | {auroc} | {gaps} |")
    return "\n".join(lines)


def _gap(models: pd.DataFrame, attribute: str) -> str:
    """Range of a gap, in how many models it is beyond chance, and who is mostly worst there."""
    gap = models[f"{attribute}_gap"]
    if gap.isna().all():
        return "too few patients"
    ends = dict.fromkeys((f"{gap.min():.2f}", f"{gap.max():.2f}"))
    beyond = models[models[f"{attribute}_gap_low"] > 0]
    if beyond.empty:
        return "-".join(ends)
    worst = beyond[f"{attribute}_worst"].mode()[0].partition(": ")[2]
    return f"{'-'.join(ends)}; beyond chance in {len(beyond)}, worst {worst}"


if __name__ == "__main__":
    typer.run(main)
