"""Weights and training states in safetensors files; never pickle."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path

Tensors = dict[str, Tensor]

#: What a training to resume must share, by name; plain values.
Key = dict[str, Any]


@dataclass
class Best:
    """The best epoch of a stage so far.

    Attributes:
        epoch: Counted from 1; 0 if there is none yet.
        rank: What it was judged by, see :func:`training.selection.rank`; larger is better.
        weights: State of the model after it; empty if there is none yet.
    """

    epoch: int = 0
    rank: tuple[bool, float] = (False, -float("inf"))
    weights: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after an epoch; enough to go on exactly.

    Random generators are not part of it: the randomness of an epoch is a function of seed,
    stage and epoch.

    Attributes:
        stage: Position of the stage, from 0.
        epoch: Epochs of the stage that are done, >= 1.
        model: State of the model.
        best: Best epoch of the stage.
        optimizers: Tensors of the optimisers, see :func:`optimizer_tensors`.
        history: One row an epoch so far.
    """

    stage: int
    epoch: int
    model: Tensors
    best: Best
    optimizers: Tensors
    history: list[dict[str, Any]]


def write_checkpoint(path: Path, checkpoint: Checkpoint, key: Key) -> None:
    """Write a checkpoint; an earlier one is replaced at once, never half.

    Args:
        path: File to write.
        checkpoint: State to write.
        key: Everything that a training to resume must share.

    Raises:
        InputError: It cannot be written, as the disk is full, say. An earlier one is intact.
    """
    groups = {
        "model": checkpoint.model,
        "best": checkpoint.best.weights,
        "optimizer": checkpoint.optimizers,
    }
    tensors = {
        f"{group}/{name}": tensor
        for group, named in groups.items()
        for name, tensor in named.items()
    }
    meta = {
        "key": key,
        "stage": checkpoint.stage,
        "epoch": checkpoint.epoch,
        "best_epoch": checkpoint.best.epoch,
        "best_rank": checkpoint.best.rank,
        "history": checkpoint.history,
    }
    _write(path, tensors, {"checkpoint": json.dumps(meta)})


def read_checkpoint(path: Path, key: Key) -> Checkpoint | None:
    """Read a checkpoint.

    Args:
        path: File to read.
        key: Must be the one it was written with.

    Returns:
        The checkpoint, its tensors on the CPU; None if there is no such file.

    Raises:
        InputError: The file is damaged, is not a checkpoint, or belongs to another training;
            then one fault for each part of the key that differs.
    """
    if not path.exists():
        return None
    tensors, metadata = _read(path)
    try:
        meta = json.loads(metadata["checkpoint"])
        written = dict(meta["key"])
    except (KeyError, TypeError, ValueError):
        raise InputError(Fault(str(path), "this is not a checkpoint", _START_OVER)) from None
    if faults := _differences(written, key, str(path)):
        raise InputError(*faults)
    groups: dict[str, Tensors] = {"model": {}, "best": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        groups[group][rest] = tensor
    defined, number = meta["best_rank"]
    best = Best(meta["best_epoch"], (defined, number), groups["best"])
    return Checkpoint(
        meta["stage"],
        meta["epoch"],
        groups["model"],
        best,
        groups["optimizer"],
        meta["history"],
    )


def write_weights(path: Path, module: nn.Module) -> None:
    """Write the state of a module; an earlier file is replaced at once, never half."""
    _write(path, module.state_dict(), {"format": "pt"})


def read_weights(path: Path, module: nn.Module) -> None:
    """Put the weights of a file into a module.

    Raises:
        InputError: The file is missing or damaged, or its weights are not those of the module.
    """
    if not path.exists():
        raise InputError(Fault(str(path), "no such file", "Check the path."))
    load_state(module, _read(path)[0], str(path))


def copy_state(module: nn.Module) -> Tensors:
    """A copy of the state of a module, that later steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def load_state(module: nn.Module, state: Tensors, where: str) -> None:
    """Copy a state into a module, whose memory layout and device stay as they are.

    Raises:
        InputError: Names or shapes do not agree; one fault for each.
    """
    expected = module.state_dict()
    faults = [
        Fault(where, f"weight '{name}' is missing", _OTHER_MODEL)
        for name in expected.keys() - state.keys()
    ]
    for name, tensor in state.items():
        if name not in expected:
            faults.append(Fault(where, f"weight '{name}' is not of this model", _OTHER_MODEL))
        elif tensor.shape != expected[name].shape:
            shapes = f"{list(tensor.shape)}, not {list(expected[name].shape)}"
            faults.append(Fault(where, f"weight '{name}' has shape {shapes}", _OTHER_MODEL))
    if faults:
        raise InputError(*sorted(faults, key=str))
    module.load_state_dict(state)


def optimizer_tensors(optimizers: dict[str, Optimizer]) -> Tensors:
    """State of the optimisers as tensors named ``optimizer/parameter number/state name``.

    Hyperparameters are not part of it: they come from the settings.

    Raises:
        TypeError: An optimiser keeps a state that is not a tensor.
    """
    tensors = {}
    for name, optimizer in optimizers.items():
        for number, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if not isinstance(value, Tensor):
                    raise TypeError(f"state '{key}' of optimizer '{name}' is not a tensor.")
                tensors[f"{name}/{number}/{key}"] = value
    return tensors


def restore_optimizers(optimizers: dict[str, Optimizer], tensors: Tensors) -> None:
    """Give fresh optimisers the state that :func:`optimizer_tensors` named."""
    for name, optimizer in optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for path, tensor in tensors.items():
            owner, number, key = path.rsplit("/", 2)
            if owner == name:
                like = parameters[int(number)]
                state.setdefault(int(number), {})[key] = _laid_out(tensor, like)
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def _laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """A copy in the memory layout of a parameter, which fused optimisers rely on."""
    if tensor.shape != like.shape:
        return tensor.clone()
    return torch.empty_like(like, dtype=tensor.dtype).copy_(tensor)


def _differences(written: Key, key: Key, where: str) -> list[Fault]:
    """One fault for each part of the key that is not as it was."""
    # As JSON has it: a tuple becomes a list.
    asked = json.loads(json.dumps(key))
    return [
        Fault(
            where,
            f"the checkpoint was made with another {name} ({_shown(written.get(name))}, now "
            f"{_shown(asked.get(name))})",
            "Use the same one to go on, or another directory to start anew.",
        )
        for name in sorted(written.keys() | asked.keys())
        if written.get(name) != asked.get(name)
    ]


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:12]}..."


#: Longer values of a key are cut in messages; hashes are.
_LONGEST_SHOWN = 40

_START_OVER = "Delete it to train from the beginning."
_OTHER_MODEL = (
    "Use the weights with the method, settings and input contract they were made with."
)


def _write(path: Path, tensors: Tensors, metadata: dict[str, str]) -> None:
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with atomic_path(path) as partial:
            save_file(flat, partial, metadata)
    except (SafetensorError, OSError) as error:
        size = sum(tensor.nbytes for tensor in flat.values()) / 1e6
        found = f"not writable: {error}; it takes {size:,.0f} MB{_free(path)}"
        raise InputError(Fault(str(path), found, _MAKE_ROOM)) from None


def _free(path: Path) -> str:
    try:
        return f", and {shutil.disk_usage(path.parent).free / 1e6:,.0f} MB are free"
    except OSError:
        return ""


_MAKE_ROOM = (
    "Make room or grant access there, then start again: it goes on from the last epoch written."
)


def _read(path: Path) -> tuple[Tensors, dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            names: Iterable[str] = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(Fault(str(path), f"not readable: {error}", _START_OVER)) from None
