"""Counterfactuals with a known effect, for the tests of what is made from them."""

import base64

import numpy as np
import pandas as pd

from evaluation.counterfactual_table import Counterfactuals, Picture

#: The smallest PNG: one pixel.
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
        "3a7e9b550000000a49444154789c6360000000020001"
        "48afa4710000000049454e44ae426082"
    )
).decode()


def made_swaps(
    table: pd.DataFrame,
    attribute: str = "sex",
    *,
    across: float = 0.0,
    within: float = 0.0,
    noise: float = 0.0,
    blur: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """One partner of each group for each sample.

    Args:
        table: ``sample``, ``patient``, ``score`` and the attribute.
        attribute: Its name.
        across: How much a style of another group adds to the score.
        within: How much one of the same group does.
        noise: Standard deviation of what a style adds besides.
        blur: Standard deviation of what the reconstruction adds.
        seed: Of all chance.
    """
    generator = np.random.default_rng(seed)
    group, patient = table[attribute].to_numpy(str), table["patient"].to_numpy(str)
    rows = []
    for row in range(len(table)):
        score = table["score"].iloc[row]
        redrawn = np.clip(score + blur * generator.normal(), 0, 1)
        for donor in np.unique(group):
            partner = generator.choice(
                np.flatnonzero((group == donor) & (patient != patient[row]))
            )
            moved = across if donor != group[row] else within
            rows.append(
                {
                    "sample": table["sample"].iloc[row],
                    "patient": patient[row],
                    "attribute": attribute,
                    "from": group[row],
                    "to": donor,
                    "partner": table["sample"].iloc[partner],
                    "partner_patient": patient[partner],
                    "score": score,
                    "score_reconstructed": redrawn,
                    "score_swapped": np.clip(
                        redrawn + moved + noise * generator.normal(), 0, 1
                    ),
                    "reconstruction_error": 0.01,
                }
            )
    return pd.DataFrame(rows)


def made_counterfactuals(table: pd.DataFrame, **how: float) -> Counterfactuals:
    """The same, checked and with a picture."""
    picture = Picture(name="swap", png=PIXEL, alt="one <pixel>", caption="A pixel & no more.")
    return Counterfactuals.from_table(made_swaps(table, **how), pictures=[picture])
