"""One epoch: what steps and validation read, and when the training must end."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from evaluation.errors import InputError
from tests.training.runs import TRAIN, VARIED, run, run_with, same_state
from tests.training.synthetic import images, small
from training.fit import fit
from training.method import Batch, adam
from training.networks import Network
from training.recipe import Recipe


def test_a_single_last_row_is_left_out():
    sizes = []
    method = small("erm", epochs=1)
    update = method.update
    method.update = lambda stage, batch, optimizers: (
        sizes.append(len(batch.label)),
        update(stage, batch, optimizers),
    )[1]
    run(method, train=np.arange(33))
    assert sizes == [16, 16]


def test_a_loss_that_is_not_finite_names_stage_epoch_and_remedy():
    method = small("erm")

    def losses(batch: Batch):
        return {"total": functional.cross_entropy(method.logits(batch.image), batch.label) / 0}

    stage = replace(
        method.stages()[0], losses=losses, optimizers=lambda: {"a": adam(0, method)}
    )
    method.stages = lambda: [stage]
    with pytest.raises(InputError, match=r"method erm, stage classifier, epoch 1: .*Lower the"):
        run(method)


def test_validation_rows_are_not_augmented_and_training_rows_are():
    method, seen = small("erm", epochs=2), {True: [], False: []}
    (stage,) = method.stages()

    def losses(batch):
        seen[method.training].append(batch.image.clone())
        return stage.losses(batch)

    method.stages = lambda: [replace(stage, losses=losses)]
    run_with({"augmentation": {"brightness": {"probability": 1}}}, method)
    pixels, _ = images(50)
    originals = {image.tobytes() for image in pixels.astype(np.float32) / np.float32(255)}
    varied, plain = (torch.cat(seen[mode]).numpy() for mode in (True, False))
    assert all(image.tobytes() in originals for image in plain)
    assert not any(image.tobytes() in originals for image in varied)
    first, second = varied[: len(TRAIN)], varied[len(TRAIN) :]
    assert not {image.tobytes() for image in first} & {image.tobytes() for image in second}


def test_a_stage_of_features_says_that_augmentation_has_no_effect(caplog):
    with caplog.at_level(logging.WARNING):
        run_with({"augmentation": {"flip": {}}}, small("clear_vae"))
    assert caplog.text.count("no effect") == 1
    assert "Stage classifier reads features" in caplog.text


def test_a_schedule_moves_all_optimisers_of_a_stage():
    method, seen = small("clear_vae", style_penalty="club"), []
    update = method.update

    def watched(stage, batch, optimizers):
        seen.append({name: one.param_groups[0]["lr"] for name, one in optimizers.items()})
        return update(stage, batch, optimizers)

    method.update = watched
    run_with({"schedule": {"name": "step", "every": 1, "factor": 0.5}}, method)
    steps = len(seen) // 6
    assert set(seen[0]) == {"vae", "estimator"}
    for epoch in range(3):
        for now in seen[epoch * steps : (epoch + 1) * steps]:
            assert now == {name: rate * 0.5**epoch for name, rate in seen[0].items()}
    assert set(seen[3 * steps]) == {"classifier"}
    assert seen[3 * steps]["classifier"] == method.settings.classifier_learning_rate


def test_balanced_epochs_are_shorter_and_a_very_short_one_is_named(caplog):
    label = np.where(np.arange(50) == 0, 1, 0)
    pixels, _ = images()
    options = {"train": TRAIN, "validation": TRAIN[:0], "seed": 0}
    recipe = Recipe(sampling={"name": "balanced"})
    method, sizes = small("erm", epochs=2), []
    update = method.update
    method.update = lambda stage, batch, optimizers: (
        sizes.append(batch.label.tolist()),
        update(stage, batch, optimizers),
    )[1]
    with caplog.at_level(logging.WARNING):
        fit(method, pixels, label, recipe=recipe, **options)
    assert "draws 2 of 35" in caplog.text
    assert [sorted(one) for one in sizes] == [[0, 1], [0, 1]]


def test_bfloat16_learns_like_float32_and_leaves_float32_behind():
    losses = {}
    for precision in ("float32", "bfloat16"):
        method = small("clear_vae")
        table = run(method, recipe=Recipe(precision=precision)).table
        losses[precision] = table["total"].to_numpy()
        assert all(each.dtype == torch.float32 for each in method.parameters())
        networks = [each for each in method.modules() if isinstance(each, Network)]
        assert networks
        assert all(each.precision is None for each in networks)
    assert np.isfinite(losses["bfloat16"]).all()
    assert not np.array_equal(losses["bfloat16"], losses["float32"])
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.1)


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    """The loss of the last step is finite, what it does to the weights is not."""
    path, method = tmp_path / "c.safetensors", small("erm", epochs=3)
    update, seen = method.update, []

    def spoiled(stage, batch, optimizers):
        losses = update(stage, batch, optimizers)
        seen.append(len(batch.label))
        if sum(seen) == 2 * len(TRAIN):
            with torch.no_grad():
                method.head.output.bias.fill_(float("inf"))
        return losses

    method.update = spoiled
    with pytest.raises(InputError, match=r"epoch 2: the weights 'head.output.bias'.*Lower"):
        run(method, checkpoint=path)
    again = small("erm", seed=8, epochs=3)
    whole = small("erm", epochs=3)
    run(whole)
    run(again, checkpoint=path)  # from epoch 1
    assert same_state(whole, again)


def test_a_loss_that_becomes_nan_keeps_the_last_good_checkpoint(tmp_path):
    path, method = tmp_path / "c.safetensors", small("erm", epochs=3)
    update, seen = method.update, []

    def spoiled(stage, batch, optimizers):
        seen.append(len(batch.label))
        losses = update(stage, batch, optimizers)
        return (
            losses if sum(seen) <= len(TRAIN) else losses | {"total": torch.tensor(torch.nan)}
        )

    method.update = spoiled
    with pytest.raises(InputError, match=r"classifier, epoch 2: the loss 'total' is nan"):
        run(method, checkpoint=path)
    assert [file.name for file in tmp_path.iterdir()] == ["c.safetensors"]
    again, whole = small("erm", seed=8, epochs=3), small("erm", epochs=3)
    run(again, checkpoint=path)
    run(whole)
    assert same_state(whole, again)


def test_batches_without_a_positive_pair_have_no_contrast():
    """Two rows a batch, of two labels: no anchor has a positive of its label."""
    pixels, _ = images(4)
    method = small("clear_vae", batch_size=2)
    table = fit(
        method,
        pixels[[0, 1]],
        np.array([0, 1]),
        train=np.arange(2),
        validation=np.arange(0),
        seed=0,
    ).table
    representation = table[table["stage"] == "representation"]
    assert representation["content_contrast"].eq(0).all()
    assert representation["style_penalty"].notna().all()


class Reads(TorchDispatchMode):
    """Counts the operations that make the host wait for the device."""

    def __init__(self):
        super().__init__()
        self.waits = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        """Count one operation and run it."""
        self.waits += operation._overloadpacket in WAITS
        return operation(*arguments, **(options or {}))


WAITS = {torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero, torch.ops.aten._unique2}


@pytest.mark.parametrize("name", ["erm", "lam", "clear_vae"])
def test_the_host_waits_as_often_in_an_epoch_of_many_steps_as_of_few(name):
    waits = []
    for batch_size in (4, 16):
        with Reads() as reads:
            run_with(
                {"augmentation": VARIED, "gradient_norm": 1.0, "precision": "float32"},
                small(name, batch_size=batch_size),
            )
        waits.append(reads.waits)
    assert waits[0] == waits[1] > 0
