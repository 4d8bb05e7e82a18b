"""An audit of arrays as a table of groups, laid out as fairlearn's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from evaluation.bootstrap import Cube
from evaluation.feature_groups import FeatureGroups
from evaluation.group_comparison import Compared, Method, Side, difference, extreme, ratio
from evaluation.intervals import Interval, interval
from evaluation.metric import REASONS, Array


@dataclass(frozen=True)
class AuditFrame:
    """Metrics by group, their extremes and comparisons, with intervals.

    Named and laid out as ``fairlearn.metrics.MetricFrame``: a Series of metrics, or a number if
    one metric was given by itself; with control features one row for each of their groups.
    Where nothing is undefined its numbers are fairlearn's. It differs on purpose:

    - Patients are resampled, not rows: images of one patient are no independent evidence.
    - What is undefined is NaN, with the reason in :attr:`reasons`, even where the metric's own
      library says 0. Undefined groups take no part in extremes and comparisons, and these are
      NaN with fewer than two groups left: nothing was compared, so nothing was found equal.
    - A ratio over a group's 0 is NaN.
    - Intervals are pairs (low, high) at one confidence. Those of differences and ratios hold
      for all groups at once and are cut at no difference: they contain 0 (or 1) where the
      groups may be alike, which the percentiles of a maximum of noisy differences never do.

    Attributes:
        columns: Names of the metrics.
        single: Whether one metric was given by itself.
        grouped: The groups: first all samples, or those of each control group, then each cell
            of the features.
        cube: Values and draws of each group and metric.
        units: ``[group, metric]`` patients that each value rests on.
        confidence: Of every interval, in (0, 1).
    """

    columns: tuple[str, ...]
    single: bool
    grouped: FeatureGroups
    cube: Cube
    units: Array
    confidence: float

    @property
    def sensitive_levels(self) -> list[str]:
        """Names of the sensitive features."""
        return list(self.grouped.sensitive)

    @property
    def control_levels(self) -> list[str] | None:
        """Names of the control features, None without any."""
        return list(self.grouped.control) or None

    @property
    def ci_quantiles(self) -> list[float]:
        """What the two ends of each interval would be quantiles of."""
        return [(1 - self.confidence) / 2, (1 + self.confidence) / 2]

    @property
    def n_boot(self) -> int:
        """Number of draws."""
        return len(self.cube.draws)

    @property
    def overall(self) -> Any:
        """Each metric of all samples, or of each control group."""
        return self._laid_out(self.cube.point[: self._parts])

    @property
    def overall_ci(self) -> list[Any]:
        """Its intervals, percentiles or exact bounds: the lower ends, the upper ends."""
        return [self._laid_out(end) for end in self._ends[:, : self._parts]]

    @property
    def by_group(self) -> Any:
        """Each metric of each group; NaN where undefined or nobody is in the group."""
        return self._by_group(self.cube.point[self._parts :])

    @property
    def by_group_ci(self) -> list[Any]:
        """Their intervals, percentiles or exact bounds: the lower ends, the upper ends."""
        return [self._by_group(end) for end in self._ends[:, self._parts :]]

    @property
    def reasons(self) -> Any:
        """Why each value or interval of :attr:`by_group` is missing or special, else empty."""
        shape = self.cube.point.shape
        found = [self._reason(*pair) for pair in np.ndindex(shape)]
        return self._by_group(np.array(found, object).reshape(shape)[self._parts :])

    def group_min(self) -> Any:
        """Smallest value of each metric; NaN if no group has any."""
        return self._compared(extreme, "min")[0]

    def group_min_ci(self) -> list[Any]:
        """Interval of the smallest true value, from how far all groups stray together."""
        return self._compared(extreme, "min")[1:]

    def group_max(self) -> Any:
        """Largest value of each metric; NaN if no group has any."""
        return self._compared(extreme, "max")[0]

    def group_max_ci(self) -> list[Any]:
        """Interval of the largest true value, from how far all groups stray together."""
        return self._compared(extreme, "max")[1:]

    def difference(self, method: Method = "between_groups") -> Any:
        """Largest difference between two groups, or of a group from all samples; >= 0."""
        return self._compared(difference, method)[0]

    def difference_ci(self, method: Method = "between_groups") -> list[Any]:
        """Simultaneous interval of the largest true difference; from 0 if all may be alike."""
        return self._compared(difference, method)[1:]

    def ratio(self, method: Method = "between_groups") -> Any:
        """Smallest ratio of two groups, or of a group and all samples; in (0, 1]."""
        return self._compared(ratio, method)[0]

    def ratio_ci(self, method: Method = "between_groups") -> list[Any]:
        """Simultaneous interval of the smallest true ratio; up to 1 if all may be alike."""
        return self._compared(ratio, method)[1:]

    @property
    def _parts(self) -> int:
        return len(self.grouped.parts)

    @cached_property
    def _intervals(self) -> list[list[Interval]]:
        groups, metrics = range(len(self.grouped.groups)), range(len(self.columns))
        return [[self._interval(g, m) for m in metrics] for g in groups]

    @property
    def _ends(self) -> Array:
        """``[2, group, metric]``."""
        ends = np.array([[each[:2] for each in row] for row in self._intervals])
        return np.moveaxis(ends, -1, 0)

    def _interval(self, g: int, m: int) -> Interval:
        metric, point = self.cube.measures[m].metric, float(self.cube.point[g, m])
        drawn = self.cube.draws[:, g, m]
        return interval(metric, point, drawn, int(self.units[g, m]), self.confidence)

    def _reason(self, g: int, m: int) -> str:
        if not np.isnan(self.cube.point[g, m]):
            return self._intervals[g][m].reason
        if len(self.grouped.groups[g].rows) == 0:
            return REASONS["any"]
        needs = self.cube.measures[m].metric.needs
        undefined = "not defined for these scores and labels"
        return REASONS[needs] if self.units[g, m] == 0 else undefined

    def _compared(self, compare: Callable[[Side, Any, float], Compared], how: str) -> list[Any]:
        """Value, lower and upper end of a comparison in each part and metric, laid out."""
        found = [
            [compare(self._side(p, m), how, self.confidence) for m in range(len(self.columns))]
            for p in range(self._parts)
        ]
        return [self._laid_out(each) for each in np.moveaxis(np.array(found), -1, 0)]

    def _side(self, part: int, m: int) -> Side:
        inside = [g for g in self.grouped.parts[part] if not np.isnan(self.cube.point[g, m])]
        return Side(
            self.cube.measures[m].metric,
            self.cube.point[inside, m],
            self.cube.draws[:, inside, m],
            self.units[inside, m].tolist(),
            float(self.cube.point[part, m]),
            self.cube.draws[:, part, m],
        )

    def _laid_out(self, values: Array) -> Any:
        """``[part, metric]`` as fairlearn lays out what is not by group."""
        if self.grouped.control:
            table = pd.DataFrame(values, self.grouped.part_index(), self.columns)
            return table.iloc[:, 0] if self.single else table
        return values[0, 0] if self.single else pd.Series(values[0], self.columns)

    def _by_group(self, values: Array) -> Any:
        table = pd.DataFrame(values, self.grouped.index(), self.columns)
        return table.iloc[:, 0] if self.single else table
