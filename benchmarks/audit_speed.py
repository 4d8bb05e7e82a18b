"""The bootstrap against fairlearn's, how it grows, and a whole audit, in one run.

``python -m benchmarks.audit_speed`` scales fairlearn's seconds up from a few draws; ``--full``
does all of them, which takes about 10 minutes.

Limit: a draw must read each sample's weight once in each of the 4 partitions that hold the
sample (8 bytes and one multiply-add: 3.2 GB for 1,000 draws of 10,000 rows), and it must sum
the weights up along the scores once for an AUROC and twice for an average precision (12 sums,
each bound by the latency of one addition a sample). Both are timed in the same run, as a plain
product and a plain running sum of the same weights; the table gives their share of the time.
The rest is the random draw, the scattered read that brings weights into the order of scores,
the split into positives and negatives, and the other metrics.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate
from sklearn import metrics as sklearn

from evaluation.bootstrap import Cube, bootstrap, patient_weights
from evaluation.groups import Group, make_groups
from evaluation.metric import METRICS
from evaluation.target import Target

DRAWS, FAIRLEARN_DRAWS = 1_000, 20
SEED, TAILS = 0, [0.025, 0.975]
ATTRIBUTES = ["sex", "race"]
PARTITIONS = 4  # all, by sex, by race, by both: a sample is in a group of each
RUNNING_SUMS = 3  # one for the AUROC, two for the average precision


def _decided(function: Callable[..., float]) -> Callable[..., float]:
    return lambda label, score: function(label, score >= 0.5)


#: Eight metrics by our name, as fairlearn takes them: of label and score.
EIGHT: dict[str, Callable[..., float]] = {
    "auroc": sklearn.roc_auc_score,
    "brier_score": sklearn.brier_score_loss,
    "accuracy": _decided(sklearn.accuracy_score),
    "balanced_accuracy": _decided(sklearn.balanced_accuracy_score),
    "true_positive_rate": _decided(sklearn.recall_score),
    "false_positive_rate": _decided(false_positive_rate),
    "positive_predictive_value": _decided(sklearn.precision_score),
    "selection_rate": _decided(selection_rate),
}
TWELVE = (
    *EIGHT,
    "average_precision",
    "expected_calibration_error",
    "log_loss",
    "negative_predictive_value",
)


def main(
    full: Annotated[bool, typer.Option(help="Do all of fairlearn's draws.")] = False,
) -> None:
    """Print CPU seconds, ratios and peak memory."""
    growth()  # while this process is small: its children's peak memory counts from it
    against_fairlearn(DRAWS if full else FAIRLEARN_DRAWS)
    whole_audit(10_000)


def made(rows: int) -> pd.DataFrame:
    """Labels, scores with some ties, two attributes, patients with 2.5 images on average."""
    generator = np.random.default_rng(0)
    label = (generator.random(rows) < 0.25).astype(int)
    return pd.DataFrame(
        {
            "sample": np.arange(rows),
            "patient": generator.integers(0, int(rows / 2.5), rows),
            "label": label,
            "score": generator.normal(0.35 + 0.3 * label, 0.2).clip(0, 1),
            "sex": generator.choice(["female", "male"], rows),
            "race": generator.choice(["a", "b", "c", "d"], rows),
        }
    )


def least_cpu(work: Callable[[], object], times: int = 3) -> float:
    """CPU seconds over all threads, the least of some calls: others use the machine too."""
    spent = []
    for _ in range(times):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)


def cube_of(
    table: pd.DataFrame,
    names: Iterable[str],
    depths: Container[int],
    resampled: Iterable[np.ndarray],
) -> tuple[list[Group], Cube]:
    """Our numbers, for the groups that are made of so many attributes."""
    score = table["score"].to_numpy()
    target = Target("", table["label"].to_numpy(float), score, (score >= 0.5).astype(float))
    values = {name: pd.Categorical(table[name]) for name in ATTRIBUTES}
    groups = [g for g in make_groups(values, 2, len(table)) if len(g.attributes) in depths]
    metrics = [METRICS.get(name) for name in names]
    return groups, bootstrap([target], groups, metrics, np.ones(len(table)), resampled)


def fairlearn_frame(table: pd.DataFrame, draws: int) -> MetricFrame:
    """Fairlearn's numbers, for the crossing of the attributes."""
    return MetricFrame(
        metrics=EIGHT,
        y_true=table["label"],
        y_pred=table["score"],
        sensitive_features=table[ATTRIBUTES],
        n_boot=draws,
        ci_quantiles=TAILS,
        random_state=SEED,
    )


def fairlearn_weights(rows: int, draws: int) -> Iterator[np.ndarray]:
    """Blocks ``[some, rows]`` of how often each row is in fairlearn's resamples.

    Fairlearn seeds one pandas sample a draw with a number that its own seed draws.
    """
    largest = np.iinfo(np.uint32).max
    seeds = np.random.default_rng(SEED).integers(0, largest, draws, np.uint32)
    position = pd.Series(np.arange(rows))
    for start in range(0, draws, 100):
        samples = [
            position.sample(frac=1, replace=True, random_state=seed)
            for seed in seeds[start : start + 100]
        ]
        yield np.array([np.bincount(each, minlength=rows) for each in samples], float)


def largest_difference(frame: MetricFrame, groups: Sequence[Group], cube: Cube) -> float:
    """Between any number of fairlearn's and ours: estimates, gaps and interval ends.

    Args:
        frame: As of :func:`fairlearn_frame`.
        groups: All rows, then the crossing, as fairlearn has them.
        cube: Of these groups, on fairlearn's resamples.
    """
    names = list(EIGHT)
    overall, *crossed = groups
    assert [group.values for group in (overall, *crossed)] == [(), *frame.by_group.index]
    pairs = [
        (frame.overall, cube.point[0]),
        (frame.by_group, cube.point[1:]),
        (frame.difference(), np.ptp(cube.point[1:], axis=0)),
    ]
    for k, tail in enumerate(TAILS):
        pairs += [
            (frame.overall_ci[k], np.quantile(cube.draws[:, 0], tail, axis=0)),
            (frame.by_group_ci[k], np.quantile(cube.draws[:, 1:], tail, axis=0)),
            (frame.difference_ci()[k], np.quantile(np.ptp(cube.draws[:, 1:], 1), tail, axis=0)),
        ]
    # Not Python's max, which passes over NaN.
    return float(
        np.max([np.abs(theirs[names] - ours).to_numpy().max() for theirs, ours in pairs])
    )


def against_fairlearn(fairlearn_draws: int) -> None:
    """Print both on the same resamples."""
    rows = 10_000
    table = made(rows)

    def ours(draws: int) -> tuple[list[Group], Cube]:
        return cube_of(table, EIGHT, (0, 2), fairlearn_weights(rows, draws))

    frames = []
    repeats = 1 if fairlearn_draws == DRAWS else 2
    spent = least_cpu(lambda: frames.append(fairlearn_frame(table, fairlearn_draws)), repeats)
    theirs = spent * DRAWS / fairlearn_draws
    mine = least_cpu(lambda: ours(DRAWS))
    apart = largest_difference(frames[0], *ours(fairlearn_draws))
    print(f"{rows:,} rows, 8 groups, 8 metrics, {DRAWS:,} equal draws of rows, CPU seconds")
    print(f"  fairlearn MetricFrame   {theirs:8.2f}  (from {fairlearn_draws} draws)")
    print(f"  evenscan                {mine:8.2f}  (drawing included)")
    print(f"  ratio                   {theirs / mine:8.0f}")
    print(f"  largest difference      {apart:8.0e}  (of {fairlearn_draws} draws)")


def growth() -> None:
    """Print how seconds and memory grow with the rows, each in a process of its own."""
    print("15 groups, 12 metrics, patients resampled, one target")
    print("       rows  draws  prepare s  draws s  ns a row and draw  limit's share  peak GB")
    for rows, draws in ((10_000, 1_000), (100_000, 100), (1_000_000, 20)):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            prepared, drawn, limit, peak = pool.submit(grown, rows, draws).result()
        print(
            f"  {rows:9,} {draws:6,} {prepared:10.2f} {drawn:8.2f} "
            f"{drawn / rows / draws * 1e9:18.0f} {limit / drawn:14.0%} {peak:8.2f}"
        )


def grown(rows: int, draws: int) -> tuple[float, float, float, float]:
    """CPU seconds to prepare, for the draws and at the limit; peak memory in GB."""
    table = made(rows)
    patient = table["patient"].to_numpy()
    blocks = partial(patient_weights, patient, seed=SEED)
    prepared = least_cpu(lambda: cube_of(table, TWELVE, (0, 1, 2), ()))
    whole = least_cpu(lambda: cube_of(table, TWELVE, (0, 1, 2), blocks(draws)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    block, column = next(blocks(draws)), np.ones(rows)
    plain = least_cpu(lambda: [block @ column for _ in range(20)]) / 20
    running = least_cpu(lambda: block.cumsum(axis=1))
    limit = PARTITIONS * (plain + RUNNING_SUMS * running) * draws / len(block)
    return prepared, whole - prepared, limit, peak


def whole_audit(rows: int) -> None:
    """Print the seconds of a default audit with its report, as a user starts it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "predictions.csv"
        made(rows).to_csv(source, index=False)
        command = [str(Path(sys.executable).with_name("evenscan")), "audit", str(source)]
        command += ["--attributes", ",".join(ATTRIBUTES), "--policy", "default"]
        started = time.perf_counter()
        done = subprocess.run([*command, "--out", f"{folder}/out"], capture_output=True)
        seconds = time.perf_counter() - started
    if done.returncode not in (0, 3, 4):
        raise RuntimeError(done.stderr.decode())
    print(f"a default audit of {rows:,} rows with its report: {seconds:.1f} s")


if __name__ == "__main__":
    typer.run(main)
