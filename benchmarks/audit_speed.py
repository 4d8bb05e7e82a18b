"""The bootstrap against fairlearn's, on the same data in one run.

Limit: a draw of a rate reads each row's weight once in every group that holds the row, so
1,000 draws of 10,000 rows in 3 crossings are 3e7 multiply-adds a metric, 0.02 s on one core.
"""

import time
from collections.abc import Callable

import numpy as np
from fairlearn.metrics import MetricFrame
from sklearn import metrics as sklearn

from evaluation.bootstrap import bootstrap
from evaluation.groups import make_groups
from evaluation.metric import METRICS

ROWS, GROUPS, FAIRLEARN_DRAWS, DRAWS = 10_000, 8, 20, 1_000


def main() -> None:
    """Print CPU seconds for 1,000 draws and their ratio."""
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, ROWS)
    score = np.round(generator.random(ROWS), 2)
    group = generator.integers(0, GROUPS, ROWS).astype(str)
    ours = cpu(lambda: _ours(label, score, group))
    theirs = cpu(lambda: _fairlearn(label, score, group)) * DRAWS / FAIRLEARN_DRAWS
    print(f"bootstrap, {ROWS:,} rows, {GROUPS} groups, 6 metrics, {DRAWS:,} draws, CPU seconds")
    print(f"  fairlearn MetricFrame  {theirs:8.1f}  (from {FAIRLEARN_DRAWS} draws)")
    print(f"  evenscan               {ours:8.1f}  (patients resampled)")
    print(f"  ratio                  {theirs / ours:8.0f}")


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call, over all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _ours(label: np.ndarray, score: np.ndarray, group: np.ndarray) -> None:
    import pandas as pd

    groups = make_groups({"g": pd.Categorical(group)}, depth=1, rows=ROWS)
    value = {"score": score, "decision": (score >= 0.5).astype(float)}
    every = [METRICS.get(name) for name in METRICS.names()]
    bootstrap(label.astype(float), value, np.arange(ROWS), groups, every, DRAWS, seed=0)


def _fairlearn(label: np.ndarray, score: np.ndarray, group: np.ndarray) -> None:
    def decided(function: Callable[..., float]) -> Callable[..., float]:
        return lambda y, s: function(y, s >= 0.5)

    frame = {
        "auroc": sklearn.roc_auc_score,
        "average_precision": sklearn.average_precision_score,
        "brier": sklearn.brier_score_loss,
        "accuracy": decided(sklearn.accuracy_score),
        "tpr": decided(sklearn.recall_score),
        "fpr": decided(lambda y, d: sklearn.recall_score(1 - y, d)),
    }
    MetricFrame(
        metrics=frame,
        y_true=label,
        y_pred=score,
        sensitive_features=group,
        n_boot=FAIRLEARN_DRAWS,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )


if __name__ == "__main__":
    main()
