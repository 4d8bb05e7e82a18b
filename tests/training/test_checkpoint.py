"""Weights and checkpoints: exact, whole or not there, and never of something else."""

import errno
import json

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from evaluation.errors import InputError
from training import checkpoint
from training.checkpoint import (
    Best,
    Checkpoint,
    copy_state,
    optimizer_tensors,
    read_checkpoint,
    read_weights,
    restore_optimizers,
    write_checkpoint,
    write_weights,
)

KEY = {
    "seed": 3,
    "cohort": "0123456789abcdef" * 4,
    "recipe 'sampling'": {"attributes": ("sex",)},
}


def network(seed=0):
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)
    )
    return layers.to(memory_format=torch.channels_last)


def trained(module, steps=2):
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1, fused=True)
    torch.manual_seed(1)
    for _ in range(steps):
        step(module, optimizer)
    return optimizer


def step(module, optimizer):
    optimizer.zero_grad()
    module(torch.rand(5, 3, 4, 4)).square().sum().backward()
    optimizer.step()


def checkpoint_of(module, optimizer):
    tensors = optimizer_tensors({"main": optimizer})
    best = Best(1, (True, -0.5), copy_state(network(3)))
    return Checkpoint(1, 2, copy_state(module), best, tensors, [{"stage": "a", "total": 0.1}])


def test_written_and_read_is_the_same(tmp_path):
    module = network()
    written = checkpoint_of(module, trained(module))
    write_checkpoint(tmp_path / "c.safetensors", written, KEY)
    read = read_checkpoint(tmp_path / "c.safetensors", KEY)
    assert (read.stage, read.epoch, read.history) == (1, 2, [{"stage": "a", "total": 0.1}])
    assert (read.best.epoch, read.best.rank) == (1, (True, -0.5))
    for tensors, expected in (
        (read.model, written.model),
        (read.best.weights, written.best.weights),
        (read.optimizers, written.optimizers),
    ):
        assert tensors.keys() == expected.keys()
        assert all(tensors[name].equal(expected[name]) for name in tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_stage_without_a_best_epoch_is_kept_as_such(tmp_path):
    module = network()
    empty = Checkpoint(0, 1, copy_state(module), Best(), {}, [])
    write_checkpoint(tmp_path / "c", empty, KEY)
    assert read_checkpoint(tmp_path / "c", KEY).best == Best()


def test_optimizers_go_on_exactly():
    module, other = network(), network(1)
    optimizer = trained(module)
    restored = torch.optim.Adam(other.parameters(), lr=0.1, fused=True)
    tensors = {k: v.contiguous() for k, v in optimizer_tensors({"main": optimizer}).items()}
    other.load_state_dict(module.state_dict())
    restore_optimizers({"main": restored}, tensors)
    for parameter in other.parameters():
        assert restored.state[parameter]["exp_avg"].stride() == parameter.stride()
    for each in ((module, optimizer), (other, restored)):
        torch.manual_seed(2)
        step(*each)
    state = other.state_dict()
    assert all(value.equal(state[name]) for name, value in module.state_dict().items())


def test_no_file_is_no_checkpoint(tmp_path):
    assert read_checkpoint(tmp_path / "none", KEY) is None


def test_another_key_is_refused_and_every_difference_named(tmp_path):
    module = network()
    write_checkpoint(tmp_path / "c", checkpoint_of(module, trained(module)), KEY)
    other = KEY | {"seed": 4, "cohort": "f" * 64}
    with pytest.raises(InputError) as caught:
        read_checkpoint(tmp_path / "c", other)
    found = [fault.found for fault in caught.value.faults]
    assert found == [
        "the checkpoint was made with another cohort (0123456789ab..., now ffffffffffff...)",
        "the checkpoint was made with another seed (3, now 4)",
    ]


def test_a_part_that_only_one_key_has_is_a_difference(tmp_path):
    module = network()
    write_checkpoint(tmp_path / "c", checkpoint_of(module, trained(module)), KEY)
    with pytest.raises(InputError, match=r"another setting 'alpha' \(null, now 100.0\)"):
        read_checkpoint(tmp_path / "c", KEY | {"setting 'alpha'": 100.0})


FULL = OSError(errno.ENOSPC, "No space left on device")
FULL_BELOW = SafetensorError("I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("error", [FULL, FULL_BELOW], ids=["python", "rust"])
def test_a_full_disk_leaves_the_old_checkpoint_and_says_what_to_do(
    tmp_path, monkeypatch, error
):
    path, module = tmp_path / "c.safetensors", network()
    write_checkpoint(path, checkpoint_of(module, trained(module)), KEY)
    before = path.read_bytes()

    def save_half(tensors, partial, metadata):
        partial.write_bytes(b"half")
        raise error

    monkeypatch.setattr(checkpoint, "save_file", save_half)
    with pytest.raises(InputError, match=r"No space left .* MB are free\. Make room") as caught:
        write_checkpoint(path, checkpoint_of(module, trained(module)), KEY)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("key", ["an older version's", None])
def test_a_checkpoint_of_an_older_version_is_refused(tmp_path, key):
    metadata = {"checkpoint": json.dumps({"key": key})}
    save_file({"model/a": torch.zeros(1)}, tmp_path / "c", metadata)
    with pytest.raises(InputError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "c", KEY)


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "c"
    module = network()
    write_checkpoint(path, checkpoint_of(module, trained(module)), KEY)
    path.write_bytes(path.read_bytes()[:-10] if content is None else content)
    with pytest.raises(InputError, match=r"not readable.*Delete it"):
        read_checkpoint(path, KEY)


def test_weights_are_no_checkpoint(tmp_path):
    write_weights(tmp_path / "w", network())
    with pytest.raises(InputError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "w", KEY)


def test_weights_come_back_in_the_layout_of_the_module(tmp_path):
    module, other = network(), network(1)
    write_weights(tmp_path / "w.safetensors", module)
    read_weights(tmp_path / "w.safetensors", other)
    state = other.state_dict()
    assert all(value.equal(state[name]) for name, value in module.state_dict().items())
    assert other[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_of_another_model_list_every_fault(tmp_path):
    state = {k: v.contiguous() for k, v in network().state_dict().items()}
    del state["3.bias"]
    state |= {"extra": torch.zeros(1), "3.weight": torch.zeros(2, 9)}
    save_file(state, tmp_path / "w")
    with pytest.raises(InputError) as caught:
        read_weights(tmp_path / "w", network())
    assert len(caught.value.faults) == 3
    assert "weight '3.weight' has shape [2, 9], not [2, 16]" in str(caught.value)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "w", network())


def test_an_optimizer_state_that_is_no_tensor_is_refused():
    module = network()
    optimizer = trained(module)
    optimizer.state[module[3].weight]["note"] = "text"
    with pytest.raises(TypeError, match="'note' of optimizer 'main'"):
        optimizer_tensors({"main": optimizer})
