"""The loop: exact resuming, selection, history, progress and what it refuses."""

import errno
import logging
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluation.errors import InputError
from tests.training.runs import (
    INTERRUPTIONS,
    TRAIN,
    VALIDATION,
    Interrupted,
    interrupt_at,
    run,
    same_state,
    without_seconds,
)
from tests.training.synthetic import images, small
from training import checkpoint
from training import history as reports
from training.fit import fit
from training.recipe import Recipe


@pytest.mark.parametrize("settings", [{}, {"style_penalty": "club"}], ids=["plain", "club"])
@pytest.mark.parametrize("interruption", INTERRUPTIONS, ids=str)
def test_resumed_is_bit_identical_to_uninterrupted(
    tmp_path, monkeypatch, settings, interruption
):
    monkeypatch.setattr(reports, "REPORT_INTERVAL", 0)  # report every step
    whole = small("clear_vae", **settings)
    history = run(whole)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        run(
            small("clear_vae", **settings),
            checkpoint=path,
            on_progress=interrupt_at(*interruption),
        )
    # A new process has other initial weights and another state of the global generator.
    resumed = small("clear_vae", seed=99, **settings)
    torch.manual_seed(99)
    resumed_history = run(resumed, checkpoint=path)
    assert same_state(whole, resumed)
    assert without_seconds(history).equals(without_seconds(resumed_history))


def test_erm_resumes_exactly_after_two_interruptions(tmp_path):
    whole, path = small("erm"), tmp_path / "c.safetensors"
    run(whole)
    for epoch in (1, 2):
        with pytest.raises(Interrupted):
            run(small("erm"), checkpoint=path, on_progress=interrupt_at("classifier", epoch))
    resumed = small("erm", seed=5)
    run(resumed, checkpoint=path)
    assert same_state(whole, resumed)


def test_a_finished_training_is_not_repeated(tmp_path):
    path, seen = tmp_path / "c.safetensors", []
    first, second = small("ml_vae"), small("ml_vae", seed=9)
    history = run(first, checkpoint=path)
    again = run(second, checkpoint=path, on_progress=seen.append)
    assert seen == []
    assert same_state(first, second)
    assert history.table.equals(again.table)


def test_the_seed_decides_and_the_global_generator_does_not():
    first, second, other = small("clear_vae"), small("clear_vae"), small("clear_vae")
    run(first)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    run(second)
    assert torch.get_rng_state().equal(state)
    run(other, seed=4)
    assert same_state(first, second)
    assert not same_state(first, other)


@pytest.mark.parametrize("change", ["seed", "settings", "rows", "fingerprint", "recipe"])
def test_a_checkpoint_of_another_training_is_refused(tmp_path, change):
    path = tmp_path / "c.safetensors"
    run(small("erm"), checkpoint=path, fingerprint="a")
    options = {"fingerprint": "a"} | {
        "seed": {"seed": 4},
        "rows": {"train": TRAIN[:-1]},
        "fingerprint": {"fingerprint": "b"},
        "recipe": {"recipe": Recipe(patience=3)},
        "settings": {},
    }[change]
    named = {
        "seed": "seed (3, now 4)",
        "rows": "split",
        "fingerprint": "cohort (a, now b)",
        "recipe": "recipe 'patience' (null, now 3)",
        "settings": "setting 'learning_rate' (0.0001, now 0.5)",
    }[change]
    method = small("erm", **({"learning_rate": 0.5} if change == "settings" else {}))
    with pytest.raises(InputError, match=re.escape(f"another {named}")) as caught:
        run(method, checkpoint=path, **options)
    assert len(caught.value.faults) == 1


def test_history_has_a_row_an_epoch(tmp_path):
    history = run(small("clear_vae"))
    table = history.table
    assert table["stage"].tolist() == ["representation"] * 3 + ["classifier"] * 3
    assert table["epoch"].tolist() == [1, 2, 3] * 2
    losses = ["reconstruction", "kl_content", "kl_style", "content_contrast", "style_penalty"]
    assert set(losses) < set(table.columns)
    assert table["validation_auroc"].isna().tolist() == [True] * 3 + [False] * 3
    assert table["validation_loss"].notna().all()
    assert table.groupby("stage")["selected"].sum().tolist() == [1, 1]
    history.write(tmp_path / "history.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_the_best_epoch_is_kept():
    """An AUROC that falls by design: the weights of the first epoch come back."""
    method, seen = small("erm", epochs=3, learning_rate=1e-3), []
    stage = method.stages()[0]

    def logits(image):
        epoch = len(seen) + 1
        return method.logits(image) * 0 + torch.tensor([0.0, 1.0]) * image.mean(
            dim=(1, 2, 3), keepdim=False
        )[:, None] * (1 if epoch == 1 else 0)

    method.stages = lambda: [replace(stage, logits=logits)]
    states = []

    def on_progress(progress):
        if progress.step == progress.steps:
            seen.append(progress.epoch)
            states.append({k: v.clone() for k, v in method.state_dict().items()})

    pixels, label = images()
    pixels = np.where(label[:, None, None, None] == 1, pixels // 2 + 120, pixels // 2)
    history = fit(
        method,
        pixels.astype(np.uint8),
        label,
        train=TRAIN,
        validation=VALIDATION,
        seed=0,
        on_progress=on_progress,
    )
    assert history.table["validation_auroc"].tolist() == [1.0, 0.5, 0.5]
    assert history.table["selected"].tolist() == [True, False, False]
    state = method.state_dict()
    assert all(state[name].equal(states[0][name]) for name in state)
    assert not all(state[name].equal(states[2][name]) for name in state)


@pytest.mark.parametrize(
    ("rows", "message"),
    [(np.arange(36, 50, 2), "least validation loss"), (np.arange(0), "keeps its last epoch")],
)
def test_undefined_auroc_falls_back_and_says_so(caplog, rows, message):
    with caplog.at_level(logging.WARNING):
        history = run(small("erm"), validation=rows)
    assert message in caplog.text
    assert history.table["validation_auroc"].isna().all()
    assert history.table["selected"].sum() == 1


def test_features_are_computed_once_for_each_row():
    method, seen = small("clear_vae"), []
    encode = method.vae.encode
    method.vae.encode = lambda image: (seen.append(len(image)), encode(image))[1]
    _, classifier = method.stages()
    method.stages = lambda: [classifier]
    run(method)
    assert sum(seen) == len(TRAIN) + len(VALIDATION)


def test_only_what_a_stage_trains_is_in_train_mode_and_changes():
    method = small("clear_vae")
    before = {name: value.clone() for name, value in method.vae.state_dict().items()}
    _, classifier = method.stages()
    method.stages = lambda: [classifier]
    run(method)
    after = method.vae.state_dict()
    assert all(before[name].equal(after[name]) for name in before)
    assert not method.training


def test_progress_is_reported_in_order(monkeypatch):
    monkeypatch.setattr(reports, "REPORT_INTERVAL", 0)
    seen = []
    run(small("clear_vae"), on_progress=seen.append)
    done = [(p.stage, p.epoch) for p in seen if p.epoch and p.step == p.steps]
    assert done == [(s, e) for s in ("representation", "classifier") for e in (1, 2, 3)]
    assert any(p.epoch == 0 for p in seen)  # features
    assert all(p.epochs == 3 and 0 <= p.step <= p.steps for p in seen)


def test_progress_within_an_epoch_is_throttled():
    seen = []
    run(small("erm", epochs=1), on_progress=seen.append)
    assert len(seen) <= 2


def test_every_fault_of_the_input_is_listed():
    pixels, label = images()
    label = np.where(np.arange(50) == 4, 7, label)
    with pytest.raises(InputError) as caught:
        fit(
            small("erm"),
            pixels[:, :, 1:],
            label,
            train=TRAIN[:1],
            validation=TRAIN + 40,
            seed=0,
        )
    message = str(caught.value)
    assert len(caught.value.faults) == 4
    assert "uint8 [50, 1, 27, 28]" in message
    assert "1 rows are for training" in message
    assert "validation rows are not in 0 ... 49" in message
    assert "labels, row 5: 1 are not in 0 ... 1, first 7" in message


def test_memory_maps_and_read_only_labels_are_fine(tmp_path):
    pixels, label = images()
    mapped = np.memmap(tmp_path / "p", np.uint8, mode="w+", shape=pixels.shape)
    mapped[:] = pixels
    mapped.flags.writeable = False
    label.flags.writeable = False
    plain, from_map = small("erm"), small("erm")
    run(plain)
    fit(from_map, mapped, label, train=TRAIN, validation=VALIDATION, seed=3)
    assert same_state(plain, from_map)


def test_a_full_disk_ends_the_training_with_the_last_checkpoint(tmp_path, monkeypatch):
    path, calls = tmp_path / "c.safetensors", []
    save = checkpoint.save_file

    def fill(tensors, partial, metadata):
        calls.append(partial)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(tensors, partial, metadata)

    monkeypatch.setattr(checkpoint, "save_file", fill)
    with pytest.raises(InputError, match="No space left"):
        run(small("erm"), checkpoint=path)
    again, whole = small("erm", seed=8), small("erm")
    run(again, checkpoint=path)
    run(whole)
    assert same_state(whole, again)
