"""The training loop against the network alone, against the arithmetic, and against peers.

``python -m benchmarks.train_speed`` prints images per second, all measured in one run:

- the loop of this program (``fit``), one line a size, precision and batch;
- the network alone: forward and backward pass and optimiser step on one fixed batch;
- the arithmetic limit: what a large product of matrices reaches, divided by the operations that
  the network needs for an image;
- a plain loop: DataLoader, float32, default Adam, as research code is usually written;
- with ``--authors FOLDER`` the trainer of the CLEAR authors, imported from a folder that holds
  their package ``src`` (github.com/scotsun/clear-vae, folder ``code``; it needs tqdm);
- training from JPEG files of 1024 pixels over five epochs, against a DataLoader that decodes
  every image in every epoch.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from training.cache import cached_pixels
from training.cohort import CohortSchema, read_cohort
from training.fit import fit
from training.imaging import InputContract, decode
from training.loader import from_pixels
from training.method import Batch, Method, make_method
from training.precision import half, running
from training.recipe import Precision, Recipe

SIZES: dict[int, int] = {28: 1, 64: 3}
RECIPES = {
    "float32": Recipe(precision="float32"),
    "bfloat16": Recipe(precision="bfloat16"),
    "bfloat16, compiled": Recipe(precision="bfloat16", compile=True),
}
STEPS = {28: 40, 64: 12}
#: Rounds that every measurement is repeated for; the best counts, since other work on the
#: machine only ever adds time.
ROUNDS = 3
FILES, FILE_EPOCHS, FILE_SIZE = 96, 5, 1024


def main(
    authors: Annotated[Path | None, typer.Option(help="Folder that holds src.")] = None,
    batches: Annotated[str, typer.Option(help="Batch sizes, separated by commas.")] = "128",
    files: Annotated[bool, typer.Option(help="Also train from files.")] = True,
) -> None:
    """Print every speed and its ratios."""
    print(
        f"training of CLEAR-VAE and ERM, {torch.get_num_threads()} threads, images per second"
    )
    for size, channels in SIZES.items():
        for batch in map(int, batches.split(",")):
            _compare(InputContract(size=size, channels=channels), batch, authors)
    if files:
        _from_files()


def _compare(contract: InputContract, batch: int, authors: Path | None) -> None:
    pixels, label = _data(contract, batch)
    plain = _best(lambda: _plain(contract, pixels, label, batch))
    lines = [("plain loop, float32", plain)]
    if authors:
        trainer = _authors_trainer(authors, contract)
        lines.append(
            ("authors' trainer, float32", _best(lambda: trainer(pixels, label, batch)))
        )
    peer = lines[-1][1]
    for name, speed in lines:
        print(f"  {contract.size} px, batch {batch}: {name:32s} {speed:7.0f}")
    for name in ("clear_vae", "erm"):
        for title, recipe in RECIPES.items():
            given = (name, contract, pixels, label, batch, recipe)
            loop, alone = (_best(partial(speed, *given)) for speed in (_loop, _alone))
            limit = _arithmetic(recipe.precision) / _operations(name, contract, batch)
            said = f"network alone {alone:.0f} ({loop / alone:.2f})"
            said += f", arithmetic {limit:.0f} ({loop / limit:.2f})"
            if name == "clear_vae":
                said += f", against {lines[-1][0].split(',')[0]} {loop / peer:.2f}"
            print(
                f"  {contract.size} px, batch {batch}: {name + ', ' + title:32s} "
                f"{loop:7.0f}  {said}"
            )
    share = _data_share(contract, pixels, batch, loop_speed=loop)
    print(f"  {contract.size} px, batch {batch}: gathering rows takes {share:.1%} of a step")


def _best(measure: Callable[[], float]) -> float:
    return max(measure() for _ in range(ROUNDS))


def _data(contract: InputContract, batch: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    rows = batch * STEPS[contract.size]
    pixels = generator.integers(0, 256, (rows, *contract.shape), np.uint8)
    return pixels, generator.integers(0, 2, rows)


def _method(name: str, contract: InputContract, batch: int, epochs: int = 1) -> Method:
    first = {"erm": "epochs", "clear_vae": "representation_epochs"}[name]
    settings = {first: epochs, "batch_size": batch}
    if name == "clear_vae":
        settings["classifier_epochs"] = 1
    return make_method(name, settings, contract, classes=2, seed=0)


def _loop(
    name: str,
    contract: InputContract,
    pixels: np.ndarray,
    label: np.ndarray,
    batch: int,
    recipe: Recipe,
) -> float:
    """The second epoch of ``fit``: the first one warms up."""
    method, nobody = _method(name, contract, batch, epochs=2), np.array([], int)
    history = fit(
        method,
        pixels,
        label,
        train=np.arange(len(label)),
        validation=nobody,
        seed=0,
        recipe=recipe,
    )
    return len(label) / float(history.table["seconds"].iloc[1])


def _alone(
    name: str,
    contract: InputContract,
    pixels: np.ndarray,
    label: np.ndarray,
    batch: int,
    recipe: Recipe,
) -> float:
    method = _method(name, contract, batch)
    method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has no overload for it alone
    stage = method.stages()[0]
    optimizers = stage.optimizers()
    method.train()
    read = from_pixels(pixels, torch.device("cpu"))
    given = Batch(read(np.arange(batch)), torch.from_numpy(label[:batch]))
    with running(method, recipe, torch.device("cpu")):
        for _ in range(2):
            method.update(stage, given, optimizers)
        started = time.perf_counter()
        for _ in range(STEPS[contract.size]):
            method.update(stage, given, optimizers)
    return len(label) / (time.perf_counter() - started)


def _operations(name: str, contract: InputContract, batch: int) -> float:
    """Floating point operations of a step, for each image: products and convolutions."""
    method = _method(name, contract, batch).train()
    given = Batch(torch.rand(batch, *contract.shape), torch.arange(batch) % 2)
    with FlopCounterMode(display=False) as counter:
        method.losses(given)["total"].backward()
    return counter.get_total_flops() / batch


def _arithmetic(precision: Precision, n: int = 2048) -> float:
    """Operations a second of a large product of matrices."""
    kind = half(precision, torch.device("cpu")) or torch.float32
    left, right = torch.rand(n, n).to(kind), torch.rand(n, n).to(kind)
    left @ right

    def measure() -> float:
        started = time.perf_counter()
        for _ in range(4):
            left @ right
        return 4 * 2 * n**3 / (time.perf_counter() - started)

    return _best(measure)


def _data_share(
    contract: InputContract, pixels: np.ndarray, batch: int, loop_speed: float
) -> float:
    """Time to gather random rows and make them float, of the time of a step of ERM."""
    read = from_pixels(pixels, torch.device("cpu"))
    order = np.random.default_rng(0).permutation(len(pixels))
    read(order[:batch])
    started = time.perf_counter()
    for start in range(0, len(order), batch):
        read(order[start : start + batch])
    return (time.perf_counter() - started) / (len(pixels) / loop_speed)


def _plain(contract: InputContract, pixels: np.ndarray, label: np.ndarray, batch: int) -> float:
    """The second epoch of a plain loop over float images in memory."""
    method = _method("clear_vae", contract, batch).train()
    optimizer = torch.optim.Adam(method.vae.parameters(), lr=1e-4)
    images = torch.from_numpy(pixels).float() / 255
    loader = DataLoader(TensorDataset(images, torch.from_numpy(label)), batch, shuffle=True)
    for _ in range(2):
        started = time.perf_counter()
        for image, target in loader:
            optimizer.zero_grad()
            loss = method.losses(Batch(image, target))["total"]
            loss.backward()
            optimizer.step()
            loss.item()  # shown in the progress bar
    return len(label) / (time.perf_counter() - started)


def _authors_trainer(
    folder: Path, contract: InputContract
) -> Callable[[np.ndarray, np.ndarray, int], float]:
    """Runs two epochs of the authors' trainer, with their network; the second is timed."""
    sys.path.insert(0, str(folder))
    from src.utils.trainer_utils import get_clearvae_trainer  # type: ignore[import-not-found]  # it is theirs

    device = torch.device("cpu")
    settings = {28: ("VAE", 1 / 8, 5e-4, 16), 64: ("VAE64", 1 / 32, 1e-4, 64)}
    arch, beta, rate, dimension = settings[contract.size]

    def measure(pixels: np.ndarray, label: np.ndarray, batch: int) -> float:
        trainer = get_clearvae_trainer(
            beta, True, rate, dimension, 100.0, 0.1, device,
            vae_arch=arch, in_channel=contract.channels, verbose_period=10,
        )  # fmt: skip
        images = torch.from_numpy(pixels).float() / 255
        data = TensorDataset(images, torch.from_numpy(label))
        loader = DataLoader(data, batch_size=batch, shuffle=True)
        for epoch in range(2):
            started = time.perf_counter()
            trainer._train(loader, False, epoch)
        return len(label) / (time.perf_counter() - started)

    return measure


class _Decoding(Dataset[tuple[Tensor, int]]):
    """Decodes an image whenever it is asked for, as many research loaders do."""

    def __init__(self, paths: list[Path], contract: InputContract) -> None:
        self.paths, self.contract = paths, contract

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        pixels = decode(self.paths[row].read_bytes(), self.contract, "image")
        return torch.from_numpy(pixels).float() / 255, row % 2


def _from_files() -> None:
    """Five epochs from files: decoded once, against decoded in every epoch."""
    contract = InputContract(size=64, channels=3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = _write_files(folder)
        ours = _cached_epochs(folder, contract)
        loader = DataLoader(
            _Decoding(paths, contract), batch_size=32, shuffle=True, num_workers=2
        )
        theirs = _decoding_epochs(loader, contract)
    total = FILES * FILE_EPOCHS
    print(
        f"  64 px from {FILES} JPEG files of {FILE_SIZE} px, {FILE_EPOCHS} epochs, decoding "
        f"included: {total / ours:.0f}; DataLoader of 2 processes that decodes each time "
        f"{total / theirs:.0f}, ratio {theirs / ours:.1f}"
    )


def _write_files(folder: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    rows, paths = ["image_id,patient,label"], []
    for i in range(FILES):
        coarse = generator.integers(0, 256, (32, 32, 3), np.uint8)
        image = Image.fromarray(coarse).resize((FILE_SIZE, FILE_SIZE), Image.Resampling.BICUBIC)
        data = BytesIO()
        image.save(data, "JPEG", quality=90)
        paths.append(folder / f"i{i}.jpg")
        paths[-1].write_bytes(data.getvalue())
        rows.append(f"i{i},p{i},{'ab'[i % 2]}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return paths


def _cached_epochs(folder: Path, contract: InputContract) -> float:
    """Seconds of reading the cohort, decoding it once and training on it."""
    source = {"manifest": "manifest.csv", "images": ".", "pattern": "{image_id}.jpg"}
    classes = {"a": ["a"], "b": ["b"]}
    schema = CohortSchema.parse(
        {
            "name": "files",
            "format": "images",
            "source": source,
            "sample": "image_id",
            "patient": "patient",
            "label": {"column": "label", "classes": classes},
        },
        "files",
    )
    method = _method("erm", contract, 32, epochs=FILE_EPOCHS)
    started = time.perf_counter()
    cohort = read_cohort(schema, folder)
    pixels = cached_pixels(cohort, contract, folder / "cache")
    rows = np.arange(len(cohort.table))
    label = cohort.table["label"].to_numpy()
    fit(method, pixels, label, train=rows, validation=rows[:0], seed=0)
    return time.perf_counter() - started


def _decoding_epochs(loader: DataLoader[Any], contract: InputContract) -> float:
    method = _method("erm", contract, 32).train()
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-4)
    started = time.perf_counter()
    for _ in range(FILE_EPOCHS):
        for image, label in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(method.logits(image), label)
            loss.backward()
            optimizer.step()
    return time.perf_counter() - started


if __name__ == "__main__":
    typer.run(main)
