"""How strongly a label and an attribute go together, and tables with a stated strength."""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import entropy

from evaluation.metric import Array, ratio


def phi(table: Array) -> Array:
    """Phi coefficient: the Pearson correlation of two yes-or-no variables.

    Args:
        table: Counts or shares, ``[..., 2, 2]``; the first row and the first column are "yes".

    Returns:
        ``[...]`` in [-1, 1]. NaN where a row or a column is empty: a variable that never
        changes goes together with nothing.

    Examples:
        >>> print(phi(np.array([[30, 10], [10, 30]])))
        0.5
    """
    counts = np.asarray(table, float)
    crossed = counts[..., 0, 0] * counts[..., 1, 1] - counts[..., 0, 1] * counts[..., 1, 0]
    rows, columns = counts.sum(-1), counts.sum(-2)
    return ratio(crossed, np.sqrt(rows.prod(-1) * columns.prod(-1)))


def cramers_v(table: Array) -> float:
    """Cramér's V: phi for more than two classes or categories, without its sign.

    Args:
        table: Counts, ``[class, category]``. Empty rows and columns do not count.

    Returns:
        A value in [0, 1]. NaN if fewer than two rows or columns are filled. It is not corrected
        for chance: without any association it is about ``sqrt(freedom / n / (smaller - 1))``.

    Examples:
        >>> cramers_v(np.array([[10, 0, 0], [0, 10, 0], [0, 0, 10]]))
        1.0
    """
    filled = _filled(table)
    if min(filled.shape) < 2:
        return float("nan")
    share = filled / filled.sum()
    expected = np.outer(share.sum(1), share.sum(0))
    squared = (share**2 / expected).sum() - 1
    return float(np.sqrt(np.clip(squared / (min(filled.shape) - 1), 0, 1)))


def mutual_information(table: Array) -> float:
    """What one of two variables tells about the other, in bits.

    Args:
        table: Counts, ``[class, category]``. Empty rows and columns do not count.

    Returns:
        A value in [0, log2 of the smaller number of rows and columns]. NaN if fewer than two
        rows or columns are filled. It is the plug-in estimate: chance alone adds about
        ``(rows - 1) (columns - 1) / (2 n ln 2)``.

    Examples:
        >>> mutual_information(np.array([[10, 0], [0, 10]]))
        1.0
    """
    filled = _filled(table)
    if min(filled.shape) < 2:
        return float("nan")
    share = filled / filled.sum()
    expected = np.outer(share.sum(1), share.sum(0))
    return max(float(entropy(share.ravel(), expected.ravel(), base=2)), 0.0)


def _filled(table: Array) -> Array:
    counts = np.asarray(table, float)
    return np.asarray(counts[counts.sum(1) > 0][:, counts.sum(0) > 0])


def nearest_table(available: Array, correlation: float) -> Array | None:
    r"""The table with a stated phi whose margins are nearest to those of the given one.

    A positive phi has a table with the margins :math:`p` and :math:`q` just if
    :math:`|\operatorname{logit} p - \operatorname{logit} q| \le -2 \ln \phi`, which is
    :math:`\phi \le \phi_{max}` solved for the margins; for a negative one the columns change
    places. Margins that keep this are left as they are. Else both log-odds move towards each
    other by equal amounts until it holds, the smallest move in least squares, and one cell of
    the table is empty.

    Args:
        available: Counts, ``[2, 2]``, all rows and columns filled. A cell without any sample
            stays empty.
        correlation: Phi in (-1, 1); the first row goes together with the first column.

    Returns:
        Shares that add up to 1, ``[2, 2]``. None if no table has this phi and leaves the cells
        empty that have no sample.

    Examples:
        >>> print(nearest_table(np.array([[25, 25], [25, 25]]), 0.8))
        [[0.45 0.05]
         [0.05 0.45]]
    """
    if correlation < 0:
        mirrored = nearest_table(available[:, ::-1], -correlation)
        return None if mirrored is None else mirrored[:, ::-1]
    if available[0, 0] == 0 or available[1, 1] == 0:
        return None
    margins = _nearest_margins(available, correlation)
    if margins is None:
        return None
    p, q = margins
    rest = correlation * np.sqrt(p * (1 - p) * q * (1 - q))
    shares = np.outer([p, 1 - p], [q, 1 - q]) + np.array([[rest, -rest], [-rest, rest]])
    shares[shares < _ZERO] = 0
    return np.asarray(shares / shares.sum())


# A share below this is rounding: the cell is empty.
_ZERO = 1e-12


def _nearest_margins(available: Array, correlation: float) -> tuple[float, float] | None:
    """Shares of the first row and the first column, for a phi >= 0."""
    total = available.sum()
    row, column = logit(available[0].sum() / total), logit(available[:, 0].sum() / total)
    widest = -2 * np.log(correlation) if correlation > 0 else np.inf
    lowest = widest if available[1, 0] == 0 else -widest
    highest = -widest if available[0, 1] == 0 else widest
    if lowest > highest:
        return None
    move = (np.clip(row - column, lowest, highest) - (row - column)) / 2
    if not np.isfinite(move):
        return None
    return float(expit(row + move)), float(expit(column - move))


def nearest_counts(available: Array, shares: Array, correlation: float) -> Array:
    """How many samples of each cell to keep for a stated phi.

    The largest table in the proportions of ``shares``, and tables up to 5 % smaller in the same
    proportions, are rounded to whole numbers; each cell may move by up to two samples from
    there. Of all these the ones count whose phi is right to most of four decimals, and of them
    the one nearest to the largest table is taken.

    Args:
        available: Counts, ``[2, 2]``.
        shares: As of :func:`nearest_table`, ``[2, 2]``; where 0, no sample is kept.
        correlation: Phi in (-1, 1).

    Returns:
        Counts up to the available ones, ``[2, 2]``; all 0 if a cell is needed and empty.

    Examples:
        >>> print(nearest_counts(np.array([[40, 40], [40, 40]]), np.full((2, 2), 0.25), 0.0))
        [[40 40]
         [40 40]]
    """
    needed = shares > 0
    ideal = (available[needed] / shares[needed]).min() * shares
    if ideal.sum() == 0:
        return np.zeros((2, 2), np.int64)
    # Rounding the smallest cell moves phi most; a slightly other size rounds it otherwise.
    rounded = np.rint(np.linspace(1, 0.95, _SIZES)[:, None, None] * ideal).astype(np.int64)
    tables = (np.unique(rounded, axis=0)[:, None] + _STEPS).reshape(-1, 2, 2)
    tables = np.clip(tables, 0, np.where(needed, available, 0))
    error = np.nan_to_num(np.abs(phi(tables) - correlation), nan=np.inf)
    moved = np.abs(tables - ideal).sum((1, 2))
    # Beyond the fourth decimal the sizes are worth more than the correlation.
    return np.asarray(tables[np.lexsort((moved, error.round(4)))[0]])


# Sizes of the table that are tried, and how each cell may be moved from its rounded size.
_SIZES = 41
_STEPS = np.indices((5, 5, 5, 5)).reshape(4, -1).T.reshape(-1, 2, 2) - 2
