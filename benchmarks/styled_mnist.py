"""Styled-MNIST with unseen combinations: this program beside the trainers of the CLEAR authors.

``python -m benchmarks.styled_mnist DATA REFERENCE`` trains every method on the splits of the
reference, and writes ``benchmarks/results/styled_mnist.csv``, and means over seeds beside those
of the reference to ``styled_mnist_compared.csv``. Rows that are there already are not trained
again, so an interrupted call goes on where it stopped. ``--only-table`` trains nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.metrics import average_precision_score, roc_auc_score

from evaluation.files import atomic_path
from evaluation.latent_information import latent_information
from training.fit import fit
from training.gaussian import sample
from training.imaging import InputContract
from training.method import Method, make_method
from training.recipe import Recipe
from training.vae import VaeMethod

RESULTS = Path(__file__).parent / "results" / "styled_mnist.csv"
COMPARED = RESULTS.with_name("styled_mnist_compared.csv")
CONTRACT = InputContract(size=28, channels=1)
CLASSES, EPOCHS = 10, 15
VAE_EPOCHS = {"representation_epochs": EPOCHS, "classifier_epochs": EPOCHS}

#: Name in the reference to method and settings here.
METHODS: dict[str, tuple[str, dict[str, object]]] = {
    "erm": ("erm", {"epochs": EPOCHS}),
    "clear": ("clear_vae", VAE_EPOCHS),
    "clear-nops": ("clear_vae", {"style_penalty": "negated", **VAE_EPOCHS}),
    "mlvae": ("ml_vae", VAE_EPOCHS),
}
TITLES = {
    "erm": "ERM",
    "clear": "CLEAR-VAE",
    "clear-nops": "CLEAR-VAE, negated SNN",
    "mlvae": "ML-VAE",
}
MEASURES = ["accuracy", "mean_average_precision", "mean_auroc", "gmig"]


@dataclass(frozen=True)
class Split:
    """Row positions, disjoint."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def main(
    data: Annotated[Path, typer.Argument(help="styled_mnist.npz: image, label, style.")],
    reference: Annotated[Path, typer.Argument(help="CSV of the authors' trainers.")],
    only_table: Annotated[bool, typer.Option(help="Train nothing.")] = False,
) -> None:
    """Train what is missing, then print means over seeds beside those of the reference."""
    expected = pd.read_csv(reference)
    rows = pd.read_csv(RESULTS).to_dict("records") if RESULTS.exists() else []
    done = {(row["k"], row["seed"], row["method"]) for row in rows}
    with np.load(data) as file:
        image, label, style = file["image"][:, None], file["label"], file["style"]
    for k, seed in [] if only_table else pairs(expected):
        for name in METHODS:
            if (k, seed, name) in done:
                continue
            rows.append(
                {"k": k, "seed": seed, "method": name}
                | measured(name, image, label.astype(int), split(label, style, k, seed), seed)
            )
            with atomic_path(RESULTS) as partial:
                table = pd.DataFrame(rows).sort_values(["k", "seed", "method"])
                table.to_csv(partial, index=False, float_format="%.4f")
            typer.echo(f"k {k}, seed {seed}, {name}: accuracy {rows[-1]['accuracy']:.3f}")
    table = compared(pd.DataFrame(rows), expected)
    with atomic_path(COMPARED) as partial:
        table.to_csv(partial, index=False, float_format="%.4f")
    typer.echo(markdown(table))


def pairs(expected: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Every k and seed of the reference."""
    for k, seed in expected[["k", "seed"]].drop_duplicates().itertuples(index=False):
        yield int(k), int(seed)


def split(label: np.ndarray, style: np.ndarray, k: int, seed: int) -> Split:
    """Each class is trained on k styles and tested on the others, as in the reference."""
    legacy = np.random.RandomState(seed)
    styles = len(np.unique(style))
    seen = [legacy.choice(styles, k, replace=False) for _ in range(CLASSES)]
    known = np.array([s in seen[c] for c, s in zip(label, style, strict=True)])
    rows = np.flatnonzero(known)
    np.random.RandomState(1000 + seed).shuffle(rows)
    cut = int(0.15 * len(rows))
    return Split(rows[cut:], rows[:cut], np.flatnonzero(~known))


def measured(
    name: str, image: np.ndarray, label: np.ndarray, rows: Split, seed: int
) -> dict[str, float]:
    """Train one method and measure it on the test rows; gMIG on the validation rows."""
    kind, settings = METHODS[name]
    started = perf_counter()
    method = make_method(kind, settings, CONTRACT, classes=CLASSES, seed=seed)
    fit(
        method,
        image,
        label,
        train=rows.train,
        validation=rows.validation,
        seed=seed,
        # As the authors' trainers compute, whatever the hardware can.
        recipe=Recipe(precision="float32"),
    )
    seconds = perf_counter() - started
    with torch.inference_mode():
        blocks = [
            method.logits(_scaled(image[block])).softmax(dim=1)
            for block in np.array_split(rows.test, max(1, len(rows.test) // 500))
        ]
    probability, truth = torch.cat(blocks).double().numpy(), label[rows.test]
    one_hot = np.eye(CLASSES)[truth]
    return {
        "n_train": len(rows.train),
        "n_test": len(rows.test),
        "accuracy": float((probability.argmax(axis=1) == truth).mean()),
        "mean_average_precision": average_precision_score(one_hot, probability),
        "mean_auroc": roc_auc_score(one_hot, probability),
        "gmig": _gmig(method, image[rows.validation], label[rows.validation], seed),
        "seconds": seconds,
    }


def _gmig(method: Method, image: np.ndarray, label: np.ndarray, seed: int) -> float:
    """Of codes drawn from the posteriors, as in the paper; NaN without a style code."""
    if not isinstance(method, VaeMethod):
        return float("nan")
    torch.manual_seed(seed)
    with torch.inference_mode():
        content, style = method.vae.encode(_scaled(image))
        codes = {"content": sample(content).numpy(), "style": sample(style).numpy()}
    found = latent_information(
        codes, "label", pd.Categorical(label), None, np.arange(len(label)), seed
    )
    return next(float(each.gmig) for each in found if each.latent == "content")


def _scaled(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).float().div(255)


def compared(ours: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, one row each k, method and measure."""
    rows = []
    for (k, method), mine in ours.groupby(["k", "method"]):
        theirs = expected[(expected["k"] == k) & (expected["method"] == method)]
        for measure in MEASURES:
            row = {"k": k, "method": method, "measure": measure, "seeds": len(mine)}
            for name, table in (("ours", mine), ("reference", theirs)):
                row |= {name: table[measure].mean(), f"{name}_sd": table[measure].std()}
            rows.append(row)
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """The table of the README: ours / reference, mean and standard deviation over seeds."""
    lines = [
        "| styles seen | method | " + " | ".join(m.replace("_", " ") for m in MEASURES) + " |",
        "|---|---|" + "---|" * len(MEASURES),
    ]
    for (k, method), part in table.groupby(["k", "method"]):
        cells = [_cell(part[part["measure"] == measure].iloc[0]) for measure in MEASURES]
        lines.append(f"| {k} of 6 | {TITLES[method]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: pd.Series) -> str:
    if np.isnan(row["ours"]):
        return "-"
    pairs = [f"{row[name]:.3f} ± {row[f'{name}_sd']:.3f}" for name in ("ours", "reference")]
    return " / ".join(pairs)


if __name__ == "__main__":
    typer.run(main)
