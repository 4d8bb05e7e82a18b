"""Processes that train together take the steps of one process with the whole batch."""

import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn

from evaluation.errors import Fault, InputError
from tests.training.synthetic import VARIANTS, images, small, variant_id
from tests.training.test_training_cli import PHANTOM
from training.batch_norm import shared_batch_norm
from training.distributed import agree, alone, average, from_first, gather, own, together, world
from training.fit import fit
from training.loader import from_pixels
from training.method import Batch
from training.recipe import Recipe

CPU = torch.device("cpu")
PROCESSES = 2
TRAIN, VALIDATION = np.arange(44), np.arange(44, 60)
GROUPS = np.array([np.arange(60) // 2 % 3 - 1, np.arange(60) // 20 % 2])
CASES = [
    *VARIANTS,
    ("clear_vae", {"style_attributes": ["sex", "site"]}),
    # At the default weight of 100 Adam magnifies even the rounding of float64, in biases that
    # BatchNorm takes out again.
    ("clear_vae", {"similarity": "jeffrey", "contrast": "supcon_out", "alpha": 1.0}),
]
TELLING = {
    "augmentation": {"flip": {"axes": ["width"]}, "noise": {}, "erasing": {"probability": 1}},
    "sampling": {"name": "reweighted", "attributes": ["site"]},
    "selection": {"of": "worst", "attribute": "site"},
    "gradient_norm": 1.0,
    "patience": 1,
}


def method_of(case, seed=0):
    """In float64, so that what is left is no rounding that Adam has magnified."""
    name, settings = case
    return small(name, seed=seed, **settings).double()


def exact_pixels(pixels, device):
    read = from_pixels(pixels, device)
    return lambda rows: read(rows).double()


def stepped(case, kind=torch.float64):
    """Losses, gradients and running statistics of one step of each stage."""
    method = method_of(case).to(kind).train()
    pixels, label = images(16)
    rank, size = world()
    rows = np.arange(16).reshape(size, -1)[rank]
    groups = torch.from_numpy(GROUPS[: len(method.reads), rows])
    batch = Batch(
        from_pixels(pixels, CPU)(rows).to(kind), torch.from_numpy(label[rows]), groups
    )
    found: dict[str, Tensor] = {}
    with shared_batch_norm(method):
        for stage in method.stages():
            torch.manual_seed(1)
            image = stage.features(batch.image).detach() if stage.features else batch.image
            taken = Batch(image, batch.label, batch.groups)
            losses = average(method.update(stage, taken, stage.optimizers()))
            found |= {f"{stage.name} {k}": torch.tensor(v) for k, v in losses.items()}
    found |= {f"{k} grad": p.grad for k, p in method.named_parameters() if p.grad is not None}
    return found | {k: v.clone() for k, v in method.state_dict().items() if "running" in k}


def trained(case, recipe=None, **options):
    """Weights, and the numbers of the history."""
    method = options.pop("method", None) or method_of(case)
    recipe = Recipe.parse({"precision": "float32"} | (recipe or {}), "recipe")
    known = {"sex": GROUPS[0], "site": GROUPS[1]}
    pixels, label = images(60)
    history = fit(
        method,
        pixels,
        label,
        train=TRAIN,
        validation=VALIDATION,
        seed=3,
        groups=np.array([known[name] for name in method.reads]).reshape(-1, 60),
        recipe=recipe,
        recipe_groups=np.array([known[name] for name in recipe.reads]).reshape(-1, 60),
        **options,
    )
    return method.state_dict(), history.table.drop(columns="seconds")


class Interrupted(Exception):
    """What a killed process would be."""


def resumed(folder: Path):
    """Two trainings in a row, of which the first is interrupted in the first process."""
    path = folder / "checkpoint.safetensors"

    def on_progress(progress):
        if progress.epoch == 2 and progress.step == progress.steps:
            raise Interrupted

    try:
        trained(("clear_vae", {}), checkpoint=path, on_progress=on_progress)
    except (Interrupted, InputError) as error:
        first = f"{type(error).__name__} {error}"
    other = method_of(("clear_vae", {}), seed=9)
    state, table = trained(("clear_vae", {}), checkpoint=path, method=other)
    return first, state, table


def gathered_gradient():
    """Gradient of a weight before, and of one after, rows are gathered."""
    before, after = nn.Parameter(torch.tensor([2.0])), nn.Parameter(torch.tensor([3.0]))
    row = own(torch.arange(4.0)[:, None]) * before
    whole = gather(row)
    loss = (after * torch.cdist(whole, whole).square()).sum() + row.square().mean()
    loss.backward()
    return average({"before": before.grad[0], "after": after.grad[0]})


def normalised(kind, shape):
    """Outputs, gradients and statistics of a layer in training."""
    layer = kind(3, momentum=0.3)
    nn.init.uniform_(layer.weight, generator=torch.Generator().manual_seed(2))
    nn.init.uniform_(layer.bias, generator=torch.Generator().manual_seed(3))
    value = torch.randn(shape, generator=torch.Generator().manual_seed(0)).mul(3).add(5)
    mine = own(value).clone().requires_grad_()
    weigh = own(torch.randn(shape, generator=torch.Generator().manual_seed(1)))
    with shared_batch_norm(layer):
        normal = layer(mine)
        (normal * weigh).sum().backward()
    assert type(layer) is kind
    # A sum over rows, whose gradients add up over the processes.
    sums = average(
        {f"{k}{i}": g for k, p in layer.named_parameters() for i, g in enumerate(p.grad)}
    )
    total = torch.tensor(list(sums.values())) * world().size
    return [gather(normal.detach()), gather(mine.grad), total, *layer.state_dict().values()]


LAYERS = [
    (nn.BatchNorm1d, (6, 3)),
    (nn.BatchNorm2d, (4, 3, 5, 2)),
    (nn.BatchNorm3d, (4, 3, 2, 2, 3)),
]


def raised(job: Callable[[], Any]) -> str:
    try:
        job()
    except InputError as error:
        return str(error)
    return "nothing"


def disagreeing():
    def differ():
        with together(CPU):
            agree({"seed": str(distributed.get_rank())}, nn.Linear(1, 1))

    return raised(differ)


def one_fails():
    def fail():
        with together(CPU):
            if world().rank == 1:
                raise InputError(Fault("disk", "it is on fire", "Put it out."))
            gather(torch.ones(1))

    return raised(fail)


def odd_batch():
    return raised(lambda: trained(("erm", {"batch_size": 15})))


def from_the_first():
    with together(CPU):
        with alone():
            inside = world().size
        return from_first(
            lambda: {"rank": distributed.get_rank(), "size": world().size}
        ), inside


def inside(job):
    with together(CPU):
        return job()


def jobs(folder: Path) -> dict[str, Callable[[], Any]]:
    """Everything that two processes do, by name: they are started once."""
    found: dict[str, Callable[[], Any]] = {}
    for case in CASES:
        found[f"step {variant_id(case)}"] = lambda case=case: inside(lambda: stepped(case))
        found[f"single {variant_id(case)}"] = lambda case=case: inside(
            lambda: stepped(case, torch.float32)
        )
        found[f"fit {variant_id(case)}"] = lambda case=case: trained(case)
    found["fit recipe"] = lambda: trained(("clear_vae", {}), TELLING)
    found["resumed"] = lambda: resumed(folder)
    found["gathered"] = lambda: inside(gathered_gradient)
    for kind, shape in LAYERS:
        found[kind.__name__] = lambda kind=kind, shape=shape: inside(
            lambda: normalised(kind, shape)
        )
    return found | {
        "disagreeing": disagreeing,
        "one fails": one_fails,
        "odd batch": odd_batch,
        "from first": from_the_first,
    }


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    sys.modules["training.fit"].from_pixels = exact_pixels
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES
    )
    found = {}
    for name, job in jobs(folder).items():
        try:
            found[name] = job()
        except Exception:  # noqa: BLE001  the test that asks for it shall show it
            found[name] = RuntimeError(traceback.format_exc())
    torch.save(found, folder / f"{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def together_found(tmp_path_factory):
    """What each process found in each job."""
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(work, (folder,), nprocs=PROCESSES)
    return [torch.load(folder / f"{k}.pt", weights_only=False) for k in range(PROCESSES)]


@pytest.fixture
def found(together_found):
    def of(name):
        each = [process[name] for process in together_found]
        for one in each:
            if isinstance(one, RuntimeError):
                pytest.fail(str(one))
        return each

    return of


def difference(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Largest difference, in units of the largest entry of its tensor."""
    assert actual.keys() == expected.keys()
    apart = {k: (actual[k] - v).abs().max() for k, v in expected.items()}
    return max((apart[k] / v.abs().max().clamp(min=1e-3)).item() for k, v in expected.items())


def check_training(found, expected):
    """Both processes the same bits; those of one process up to rounding."""
    (state, table), (other, its_table) = found
    assert all(state[name].equal(other[name]) for name in state)
    assert table.equals(its_table)
    torch.testing.assert_close(state, expected[0], rtol=1e-5, atol=1e-6)
    numbers, whole = (each.select_dtypes("number") for each in (table, expected[1]))
    np.testing.assert_allclose(numbers, whole, rtol=1e-5, atol=1e-8)
    assert table["selected"].equals(expected[1]["selected"])


@pytest.fixture
def exact(monkeypatch):
    monkeypatch.setattr(sys.modules["training.fit"], "from_pixels", exact_pixels)


@pytest.mark.parametrize("case", CASES, ids=variant_id)
def test_a_step_is_that_of_one_process_with_the_whole_batch(found, case):
    expected = stepped(case)
    for actual in found(f"step {variant_id(case)}"):
        assert difference(actual, expected) < 1e-5


@pytest.mark.parametrize("case", CASES, ids=variant_id)
def test_in_single_precision_losses_are_the_same_too(found, case):
    expected = stepped(case, torch.float32)
    for actual in found(f"single {variant_id(case)}"):
        first = method_of(case).stages()[0].name
        losses = [name for name in expected if name.startswith(f"{first} ")]
        assert losses
        torch.testing.assert_close(
            {name: actual[name] for name in losses},
            {name: expected[name] for name in losses},
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.parametrize("case", CASES, ids=variant_id)
def test_a_training_ends_with_the_weights_of_one_process(found, exact, case):
    check_training(found(f"fit {variant_id(case)}"), trained(case))


def test_a_recipe_is_followed_as_in_one_process(found, exact):
    check_training(found("fit recipe"), trained(("clear_vae", {}), TELLING))


def test_an_interrupted_training_goes_on(found, exact):
    (first, *resumed), (other, *its_resumed) = found("resumed")
    assert first.startswith("Interrupted")
    assert "another process has ended" in other
    check_training([resumed, its_resumed], trained(("clear_vae", {})))


def test_gradients_of_gathered_rows_are_those_of_the_whole(found):
    expected = gathered_gradient()
    assert found("gathered") == [expected] * PROCESSES


@pytest.mark.parametrize(("kind", "shape"), LAYERS)
def test_batch_norm_spans_the_processes(found, kind, shape):
    for actual in found(kind.__name__):
        torch.testing.assert_close(actual, normalised(kind, shape), rtol=1e-5, atol=1e-5)


def test_a_process_that_fails_ends_the_others_at_once(found):
    waiting, failing = found("one fails")
    assert failing == "disk: it is on fire. Put it out."
    assert re.match("process 0 of 2: another process has ended", waiting)


def test_processes_that_differ_are_told(found):
    each = found("disagreeing")
    assert all(
        f"process {k} of 2: the processes differ in their seed" in e for k, e in enumerate(each)
    )


def test_batches_that_cannot_be_shared_equally_are_refused(found):
    for message in found("odd batch"):
        assert "2 processes cannot share batches of 15 equally" in message


def test_the_first_process_measures_alone(found):
    assert found("from first") == [({"rank": 0, "size": 1}, 1)] * PROCESSES


def test_one_process_is_the_whole():
    with together(CPU) as joined:
        assert joined == world() == (0, 1)
        assert gather(torch.arange(3)).tolist() == own(torch.arange(3)).tolist() == [0, 1, 2]
    with shared_batch_norm(nn.BatchNorm1d(2)) as nothing:
        assert nothing is None


RUN = """
cohort = "cohort.toml"
size = 28
[method]
name = "clear_vae"
representation_epochs = 2
classifier_epochs = 2
batch_size = 16
[recipe]
precision = "float32"
[audit]
draws = 100
"""


@pytest.mark.slow
def test_torchrun_makes_the_run_that_one_process_makes(tmp_path):
    (tmp_path / "cohort.toml").write_text(PHANTOM)
    (tmp_path / "run.toml").write_text(RUN)
    command = [str(Path(sys.executable).with_name("evenscan")), "train", "run.toml", "--out"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += [f"--nproc-per-node={PROCESSES}", "--no-python"]
    total = []
    for out, launcher in (("one", []), ("two", torchrun)):
        subprocess.run([*launcher, *command, out], cwd=tmp_path, check=True, timeout=300)
        (run,) = (tmp_path / out).iterdir()
        assert (run / "report.html").exists()
        total.append(pd.read_csv(run / "history.csv")["total"])
    np.testing.assert_allclose(*total, rtol=0.05)


@pytest.mark.slow
def test_bad_input_ends_all_processes(tmp_path):
    (tmp_path / "cohort.toml").write_text(PHANTOM)
    (tmp_path / "run.toml").write_text(RUN.replace("= 16", "= 15"))
    command = [str(Path(sys.executable).with_name("evenscan")), "train", "run.toml"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += [f"--nproc-per-node={PROCESSES}", "--no-python"]
    ended = subprocess.run(
        [*launcher, *command], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 1
    assert "2 processes cannot share batches of 15 equally" in ended.stderr
    assert [each for each in (tmp_path / "runs").iterdir() if each.is_dir()] == []
