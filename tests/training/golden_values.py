"""The golden values of the CLEAR code, read from their files."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

FOLDER = Path(__file__).parent / "golden"
CASES = (0, 1)


def table() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "clear_losses.csv")


def value(case: int, loss: str) -> float:
    """The value of a loss that has one row a case."""
    rows = table().query("case == @case and loss == @loss")
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


def inputs(case: int) -> dict[str, Tensor]:
    """The inputs of a case, their names without the number of the case."""
    with np.load(FOLDER / "clear_losses.npz") as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files}
    suffix = f"_{case}"
    plain = {k.removesuffix(suffix): v for k, v in arrays.items() if k.endswith(suffix)}
    dotted = {k.replace(f"{suffix}.", "."): v for k, v in arrays.items() if f"{suffix}." in k}
    return plain | dotted
