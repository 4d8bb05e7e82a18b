"""The training loop against the network alone, in one run.

Limit: the network's own forward and backward pass and optimiser step on one fixed batch. What
the loop adds (gathering rows, casting, losses, bookkeeping) is the difference.
"""

import time

import numpy as np
import torch

from training.fit import fit
from training.imaging import InputContract
from training.method import Batch, Method, make_method

BATCH, STEPS = 128, 8


def main() -> None:
    """Print images per second of the loop and of the bare steps, and their ratio."""
    print(f"training, batch {BATCH}, {torch.get_num_threads()} threads, images per second")
    for size, channels in ((28, 1), (64, 3)):
        for name in ("erm", "clear_vae"):
            loop, bare = _speed(name, size, channels)
            print(
                f"  {name:10s} {size} px x {channels}: loop {loop:6.0f}, network alone "
                f"{bare:6.0f}, ratio {loop / bare:.2f}"
            )


def _speed(name: str, size: int, channels: int) -> tuple[float, float]:
    contract = InputContract(size=size, channels=1 if channels == 1 else 3)
    epochs = {"erm": "epochs", "clear_vae": "representation_epochs"}[name]
    settings = {epochs: 1, "batch_size": BATCH}
    if name == "clear_vae":
        settings["classifier_epochs"] = 1
    generator = np.random.default_rng(0)
    rows = BATCH * STEPS
    pixels = generator.integers(0, 256, (rows, channels, size, size), np.uint8)
    label = generator.integers(0, 2, rows)
    nobody = np.array([], int)
    method = make_method(name, settings, contract, classes=2, seed=0)
    _bare(method, pixels, label, 2)  # warms up
    bare = _bare(method, pixels, label, STEPS)
    history = fit(method, pixels, label, train=np.arange(rows), validation=nobody, seed=0)
    return rows / float(history.table["seconds"].iloc[0]), bare


def _bare(method: Method, pixels: np.ndarray, label: np.ndarray, steps: int) -> float:
    stage = method.stages()[0]
    optimizers = stage.optimizers()
    method.train()
    image = torch.from_numpy(pixels[:BATCH]).float().div(255)
    batch = Batch(
        image.contiguous(memory_format=torch.channels_last), torch.from_numpy(label[:BATCH])
    )
    started = time.perf_counter()
    for _ in range(steps):
        method.update(stage, batch, optimizers)
    return BATCH * steps / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
