"""Exchanges the styles of a run's test images, and writes scores and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.counterfactual_table import Counterfactuals, Picture
from evaluation.files import atomic_path
from evaluation.groups import MISSING, Attribute
from evaluation.reconstruction import CounterfactualSpec
from evaluation.table import file_digest
from training.cohort import Cohort
from training.counterfactual import Judge, Rows, counterfactuals, drawn_rows, pairs
from training.grid import Sheet, interpolation_grid, swap_grid
from training.imaging import Pixels
from training.making import OnStep, Step
from training.predictor import Predictor

TABLE = "counterfactuals.parquet"

#: Images on a side of the swap grid, and paths of each kind in the interpolation grid.
SIDE, PATHS = 6, 3

# Keeps the chance of partners apart from that of the split and the training.
_STREAM = 0x57E1


@dataclass(frozen=True)
class Exchange:
    """What to exchange.

    Attributes:
        predictor: A model that has a decoder.
        cohort: Of the run.
        pixels: ``[n, channel, *space]`` uint8, all images of the cohort in order.
        test: Positions of the test samples.
        attributes: Whose groups styles are exchanged between, bins filled in.
        spec: How many, and how.
        seed: Of the run.
    """

    predictor: Predictor
    cohort: Cohort
    pixels: Pixels
    test: Rows
    attributes: Sequence[Attribute]
    spec: CounterfactualSpec
    seed: int

    def write(
        self, folder: Path, judges: Sequence[Judge], report: OnStep
    ) -> Counterfactuals | None:
        """Write ``counterfactuals.parquet``, ``swap.png`` and ``interpolation.png``.

        Args:
            folder: Where to.
            judges: Whose predictions are looked at.
            report: Told what is being done.

        Returns:
            What was written, for an audit. None, and no file, if no sample has a partner.
        """
        generator = np.random.default_rng([self.seed, _STREAM])
        rows = self.test
        taken = rows[
            drawn_rows(self.cohort.table["patient"].iloc[rows], self.spec.samples, generator)
        ]
        table = self.cohort.table.iloc[taken].rename_axis("sample").reset_index()
        where = f"cohort {self.cohort.schema.name}"
        # Of all rows, since a group that was not drawn is declared all the same.
        values = {
            each.name: each.values(self.cohort.table[each.name], where)[taken]
            for each in self.attributes
        }
        swaps = pairs(table, values, self.spec, generator)
        if swaps.empty:
            return None
        found = counterfactuals(
            self.predictor,
            judges,
            lambda some: np.asarray(self.pixels[taken[some]]),
            table,
            swaps,
            lambda done, total: report(Step("exchanging styles", done, total)),
        )
        with atomic_path(folder / TABLE) as partial:
            found.to_parquet(partial, index=False)
        report(Step("drawing grids", 0, None))
        pictures = self._pictures(folder, table["label"], values, taken, generator)
        digest = file_digest(folder / TABLE)
        return Counterfactuals.from_table(found, TABLE, digest, pictures)

    def _pictures(
        self,
        folder: Path,
        label: pd.Series,
        values: dict[str, pd.Categorical],
        taken: Rows,
        generator: np.random.Generator,
    ) -> tuple[Picture, ...]:
        """Draw both grids of images of the first attribute, one of each group and class."""
        attribute, column = next(iter(values.items()))
        known = np.flatnonzero(np.asarray(column, str) != MISSING)
        names = [self.cohort.schema.classes[k] for k in label]
        named = [f"{column[k]}\n{names[k]}" for k in range(len(taken))]
        chosen = _one_of_each([named[k] for k in known], SIDE, generator)
        shown = known[chosen]
        images = np.asarray(self.pixels[taken[shown]])
        labels = [named[k] for k in shown]
        count = len(shown)
        first = np.arange(min(PATHS, max(count // 2, 1)))
        second = (first + (count + 1) // 2) % count
        paths = [
            (labels[i].replace("\n", ", "), labels[j].replace("\n", ", "))
            for i, j in zip(first, second, strict=True)
        ]
        title = f"Content of the row, style of the column, by {attribute} and class"
        sheets: dict[str, tuple[Sheet, str]] = {
            "swap": (swap_grid(self.predictor, images, labels, title), _SWAP),
            "interpolation": (
                interpolation_grid(
                    self.predictor, images[first], images[second], paths, _PATH_TITLE
                ),
                _PATH,
            ),
        }
        pictures = []
        said = ", ".join(each.replace("\n", " ") for each in dict.fromkeys(labels))
        for name, (sheet, caption) in sheets.items():
            pictures.append(sheet.picture(name, f"{caption} Images: {said}.", caption))
            with atomic_path(folder / f"{name}.png") as partial:
                partial.write_bytes(sheet.png())
        return tuple(pictures)


_SWAP = (
    "Each row keeps the content of the image on its left, each column has the style of the "
    "image on its top. Framed: the images' own reconstructions."
)
_PATH = (
    "Between the image on the left and that on the right: above, the style moves and the "
    "content stays that of the left; below, the content moves and the style stays."
)
_PATH_TITLE = "Style moves above, content moves below; the rest stays that of the left image"


def _one_of_each(names: Sequence[str], most: int, generator: np.random.Generator) -> Rows:
    """Positions of images with as many names as there are, sorted by name, drawn."""
    order = generator.permutation(len(names))
    name = np.array(names)[order]
    # How many of the same name come before it: all names once, then all a second time.
    turn = pd.Series(name).groupby(name).cumcount().to_numpy()
    taken = order[np.argsort(turn, kind="stable")][:most]
    return taken[np.argsort(np.array(names)[taken], kind="stable")]
