"""The bootstrap against fairlearn's, and how it grows, in one run.

Limit: a draw of a rate reads each row's weight once in every group that holds the row, so
1,000 draws of 10,000 rows in 4 partitions are 4e7 multiply-adds a metric, 0.03 s on one core.
An AUROC adds a sort of the rows (once) and a running sum of the weights (each draw).
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from sklearn import metrics as sklearn

from evaluation.bootstrap import bootstrap
from evaluation.groups import make_groups
from evaluation.metric import METRICS
from evaluation.spec import AuditSpec

Data = tuple[np.ndarray, np.ndarray, pd.DataFrame, np.ndarray]

FAIRLEARN_DRAWS, DRAWS = 20, 1_000
SIX = AuditSpec().metrics
MORE = "balanced_accuracy expected_calibration_error f1_score selection_rate"
TWELVE = (*SIX, *MORE.split(), "positive_predictive_value", "negative_predictive_value")


def main() -> None:
    """Print CPU seconds for 1,000 draws, and ratios."""
    data = made(10_000)
    ours = cpu(lambda: ours_on(data, SIX, depth=1, draws=DRAWS))
    theirs = cpu(lambda: fairlearn_on(data)) * DRAWS / FAIRLEARN_DRAWS
    print("10,000 rows, 6 metrics, attributes of 2 and 4 groups, 1,000 draws, CPU seconds")
    print(f"  fairlearn MetricFrame, rows resampled   {theirs:7.1f} (from {FAIRLEARN_DRAWS})")
    print(f"  evenscan, patients resampled            {ours:7.1f}")
    print(f"  ratio                                   {theirs / ours:7.0f}")
    print("12 metrics, the attributes and their crossing (15 groups), CPU seconds")
    for rows in (10_000, 100_000):
        seconds = cpu(lambda n=rows: ours_on(made(n), TWELVE, depth=2, draws=DRAWS))
        print(f"  {rows:7,} rows {seconds:7.1f}")


def made(rows: int) -> Data:
    """Labels, scores, two attributes and patients with 2.5 images on average."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "sex": generator.choice(list("fm"), rows),
            "race": generator.choice(list("abcd"), rows),
        }
    )
    label = (generator.random(rows) < 0.25).astype(int)
    return label, generator.random(rows), table, generator.integers(0, int(rows / 2.5), rows)


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call, over all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def ours_on(data: Data, metrics: Sequence[str], depth: int, draws: int) -> None:
    """The cube of this project."""
    label, score, table, patient = data
    values = {name: pd.Categorical(table[name]) for name in table}
    groups = make_groups(values, depth, len(table))
    value = {"score": score, "decision": (score >= 0.5).astype(float)}
    chosen = [METRICS.get(name) for name in metrics]
    bootstrap(label.astype(float), value, patient, groups, chosen, draws, seed=0)


def fairlearn_on(data: Data) -> None:
    """Fairlearn's frame, once for each attribute."""

    def decided(function: Callable[..., float]) -> Callable[..., float]:
        return lambda y, s: function(y, s >= 0.5)

    label, score, table, _ = data
    frame = {
        "auroc": sklearn.roc_auc_score,
        "average_precision": sklearn.average_precision_score,
        "brier": sklearn.brier_score_loss,
        "accuracy": decided(sklearn.accuracy_score),
        "tpr": decided(sklearn.recall_score),
        "fpr": decided(lambda y, d: sklearn.recall_score(1 - y, d)),
    }
    for name in table:
        MetricFrame(
            metrics=frame,
            y_true=label,
            y_pred=score,
            sensitive_features=table[name],
            n_boot=FAIRLEARN_DRAWS,
            ci_quantiles=[0.025, 0.975],
            random_state=0,
        )


if __name__ == "__main__":
    main()
