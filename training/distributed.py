"""Processes that train one model together, and what they tell each other.

Each process holds the same weights and an equal part of every batch. Its losses are those of
the whole batch: what a loss reads of other rows is gathered first, and a mean over rows that
are a process's own is one over the batch once it is averaged over the processes. Gradients are
averaged, so N processes take the step that one process takes with the whole batch.

Outside of :func:`together` all functions here do what they do in a single process.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from evaluation.errors import Fault, InputError

_Value = TypeVar("_Value")
_Rows = TypeVar("_Rows", Tensor, NDArray[np.int64])

#: Longest that a process waits for the others: for the first one's validation, at most. One
#: that ends is noticed at once.
PATIENCE = timedelta(minutes=30)


class World(NamedTuple):
    """The processes of a training.

    Attributes:
        rank: Which of them this one is, from 0.
        size: How many there are.
    """

    rank: int
    size: int


@dataclass(eq=False)
class _Link:
    """What connects a process with the others.

    Attributes:
        world: The processes.
        device: Where tensors that are exchanged lie.
        group: Of torch; None once the connection is closed. It is held here only, as it is
            closed when the last reference to it goes.
    """

    world: World
    device: torch.device
    group: distributed.ProcessGroup | None


_LINK: ContextVar[_Link | None] = ContextVar("link", default=None)


def world() -> World:
    """The processes that train together; one, where none were joined.

    >>> world()
    World(rank=0, size=1)
    """
    link = _LINK.get()
    return link.world if link else World(0, 1)


@contextmanager
def launched() -> Iterator[World]:
    """Connects the processes that were launched together, by ``torchrun`` say.

    They are told by ``WORLD_SIZE``, ``RANK`` and ``LOCAL_RANK`` in the environment. Where there
    are GPUs each process gets its own. In a process that was started alone nothing happens.

    Raises:
        InputError: A process finds no GPU for it on a machine that has some.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World(0, 1)
        return
    if gpus := torch.cuda.device_count():
        local = int(os.environ["LOCAL_RANK"])
        if local >= gpus:
            found = f"this is process {local}, counted from 0, of a machine with {gpus} GPUs"
            raise InputError(Fault("LOCAL_RANK", found, "Start one process for each GPU."))
        torch.cuda.set_device(local)
    # The others wait in this group while the first one decodes a cohort.
    distributed.init_process_group("gloo", timeout=timedelta(days=7))
    try:
        yield World(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def meet() -> None:
    """Wait until all processes have come here; nothing in a process that is alone."""
    if distributed.is_available() and distributed.is_initialized():
        here = World(distributed.get_rank(), distributed.get_world_size())
        _exchange(_Link(here, torch.device("cpu"), None), distributed.barrier)


@contextmanager
def together(device: torch.device) -> Iterator[World]:
    """Joins all processes of ``torch.distributed`` for as long as they train one model.

    All of them must enter. One that leaves with an exception closes its connections, so that
    the others do not wait for it; they fail then at what they next exchange.

    Args:
        device: Of the weights: gloo connects CPUs, nccl GPUs.

    Yields:
        The processes; one if ``torch.distributed`` was not initialised.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        yield World(0, 1)
        return
    found = World(distributed.get_rank(), distributed.get_world_size())
    if found.size == 1:
        yield found
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    link = _Link(found, device, distributed.new_group(backend=backend, timeout=PATIENCE))
    token = _LINK.set(link)
    try:
        yield found
        # One that was interrupted at the very end shall not be taken for finished.
        _exchange(link, distributed.barrier)
    finally:
        _LINK.reset(token)
        distributed.destroy_process_group(link.group)
        link.group = None


@contextmanager
def alone() -> Iterator[None]:
    """Lets this process work for itself within :func:`together`."""
    token = _LINK.set(None)
    try:
        yield
    finally:
        _LINK.reset(token)


def _exchange(link: _Link, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Call a collective function of torch; say what happened if the others are gone."""
    try:
        call(*arguments, group=link.group, **options)
    except RuntimeError as error:
        where = f"process {link.world.rank} of {link.world.size}"
        # Without the line of torch's source before it, and its advice behind.
        reason = re.sub(r"^\[\S*\] ", "", str(error)).splitlines()[0].split(". ")[0]
        found = f"another process has ended or does not answer ({reason})"
        remedy = "Its own message says why. Start all again: they go on from the last epoch."
        raise InputError(Fault(where, found, remedy)) from error


def _gathered(link: _Link, tensor: Tensor) -> Tensor:
    shape = (link.world.size * tensor.shape[0], *tensor.shape[1:])
    found = torch.empty(shape, dtype=tensor.dtype, device=tensor.device)
    parts = list(found.chunk(link.world.size))
    _exchange(link, distributed.all_gather, parts, tensor.detach().contiguous())
    return found


class _Gather(torch.autograd.Function):
    """What every process made of the gathered rows flows back to the one that they are from."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, link: _Link) -> Tensor:
        ctx.link = link
        return _gathered(link, tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        link: _Link = ctx.link
        whole = gradients[0].clone(memory_format=torch.contiguous_format)
        _exchange(link, distributed.all_reduce, whole)
        return _part(whole, link.world), None


def gather(tensor: Tensor) -> Tensor:
    """The rows of all processes, with a graph.

    The gradient of a row is the sum of what all processes make of it. So a loss of the gathered
    rows that every process computes has, once the gradients of weights are averaged (see
    :func:`average_gradients`), the gradient that it has in a single process; it does not matter
    whether a weight was used before the rows were gathered, after, or both.

    Args:
        tensor: ``[n, ...]``, the same shape in all processes.

    Returns:
        ``[processes x n, ...]``, in the order of the processes: that of the whole batch.

    Examples:
        >>> gather(torch.arange(3))
        tensor([0, 1, 2])
    """
    link = _LINK.get()
    if link is None:
        return tensor
    gathered: Tensor = _Gather.apply(tensor, link)  # type: ignore[no-untyped-call]
    return gathered


def own(whole: _Rows) -> _Rows:
    """This process's rows ``[n, ...]`` of those of all, ``[processes x n, ...]``."""
    return _part(whole, world())


def _part(whole: _Rows, of: World) -> _Rows:
    rows = len(whole) // of.size
    return whole[of.rank * rows : (of.rank + 1) * rows]


def average_gradients(optimizers: Iterable[Optimizer]) -> None:
    """Give all processes the mean of their gradients, in one exchange."""
    link = _LINK.get()
    if link is None:
        return
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    parameters: list[nn.Parameter] = [each for group in groups for each in group["params"]]
    gradients = [each.grad for each in parameters if each.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    _exchange(link, distributed.all_reduce, flat)
    sizes = [gradient.numel() for gradient in gradients]
    parts = torch.split(flat.div_(link.world.size), sizes)
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


def average(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Mean over the processes of scalars by name; the same names in all of them.

    >>> average({"total": torch.tensor(0.5)})
    {'total': 0.5}
    """
    link = _LINK.get()
    if link is None:
        return {name: value.item() for name, value in values.items()}
    sums = torch.stack([value.detach().double() for value in values.values()])
    _exchange(link, distributed.all_reduce, sums)
    return dict(zip(values, (sums / link.world.size).tolist(), strict=True))


def from_first(measure: Callable[[], _Value]) -> _Value:
    """What the first process measures while the others wait; the same in all of them."""
    link = _LINK.get()
    if link is None:
        return measure()
    told: list[Any] = [None]
    if link.world.rank == 0:
        with alone():
            told = [measure()]
    _exchange(link, distributed.broadcast_object_list, told, group_src=0, device=link.device)
    value: _Value = told[0]
    return value


def agree(values: Mapping[str, str], module: nn.Module) -> None:
    """Nothing, if all processes have the same values and weights.

    Raises:
        InputError: Some do not; one fault for each that differs.
    """
    link = _LINK.get()
    if link is None:
        return
    state = module.state_dict().values()
    weights = b"".join(each.cpu().contiguous().numpy().tobytes() for each in state)
    compared = {name: value.encode() for name, value in values.items()} | {"weights": weights}
    digests = [hashlib.blake2b(each, digest_size=7).digest() for each in compared.values()]
    numbers = [[int.from_bytes(digest, "big") for digest in digests]]
    every = _gathered(link, torch.tensor(numbers, dtype=torch.int64, device=link.device))
    same = (every == every[0]).all(dim=0).tolist()
    where = f"process {link.world.rank} of {link.world.size}"
    remedy = "Start all processes with the same settings, data and run directory."
    if faults := [
        Fault(where, f"the processes differ in their {name}", remedy)
        for name, equal in zip(compared, same, strict=True)
        if not equal
    ]:
        raise InputError(*faults)
