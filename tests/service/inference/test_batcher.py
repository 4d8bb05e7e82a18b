"""The batcher: greedy, first come first served, and nobody waits for ever."""

import asyncio
import time
from threading import Event

import numpy as np
import pytest

from service.inference.batcher import Batcher, QueueFull


class Model:
    """Gives back the first number of each image; can be held up, and made to fail."""

    def __init__(self):
        self.free, self.sizes, self.seen = Event(), [], []
        self.free.set()

    def __call__(self, pixels):
        self.free.wait(5)
        self.seen += pixels[:, 0].tolist()
        if 13 in pixels[:, 0]:
            raise RuntimeError("unlucky")
        return {"first": pixels[:, 0]}


@pytest.fixture
def model():
    return Model()


def batcher_of(model, most=1000):
    return Batcher(model, most, model.sizes.append)


def ask(batcher, *values):
    place = batcher.reserve(len(values))
    batcher.submit(place, np.array(values, np.uint8)[:, np.newaxis])
    return place


def held(model, batcher):
    """The model is busy with one image, and others queue."""
    model.free.clear()
    first = ask(batcher, 0)
    while batcher.waiting:
        time.sleep(0.001)
    return first


def test_a_request_alone_is_a_batch_of_its_own(model):
    batcher = batcher_of(model)
    assert ask(batcher, 1, 2).answer.result(5)["first"].tolist() == [1, 2]
    assert model.sizes == [2]
    assert batcher.drain(5)


def test_what_came_meanwhile_is_one_batch_in_order(model):
    batcher = batcher_of(model)
    held(model, batcher)
    places = [ask(batcher, k) for k in range(1, 11)]
    model.free.set()
    assert [each.answer.result(5)["first"].tolist() for each in places] == [
        [k] for k in range(1, 11)
    ]
    assert model.sizes == [1, 10]
    assert model.seen == list(range(11))
    assert batcher.drain(5)


def test_batches_hold_64_and_requests_are_not_split(model):
    batcher = batcher_of(model)
    held(model, batcher)
    places = [ask(batcher, *[k] * 30) for k in (1, 2, 3)]
    model.free.set()
    assert [len(each.answer.result(5)["first"]) for each in places] == [30] * 3
    assert model.sizes == [1, 60, 30]
    assert batcher.drain(5)


def ask_here(batcher, *values):
    place = batcher.reserve(len(values))
    batcher.submit_here(place, np.array(values, np.uint8)[:, np.newaxis])
    return place


async def answers(*places):
    wrapped = [asyncio.wrap_future(each.answer) for each in places]
    found = await asyncio.wait_for(asyncio.gather(*wrapped, return_exceptions=True), 5)
    return [each if isinstance(each, Exception) else each["first"].tolist() for each in found]


def test_on_the_event_loop_what_comes_in_one_turn_is_one_batch(model):
    batcher = batcher_of(model)

    async def run():
        first = [ask_here(batcher, k) for k in (1, 2)]
        gone = ask_here(batcher, 3)
        assert gone.answer.cancel()
        assert await answers(*first) == [[1], [2]]
        return await answers(ask_here(batcher, 4, 5))

    assert asyncio.run(run()) == [[4, 5]]
    assert model.sizes == [2, 2]
    assert batcher.waiting == 0


def test_on_the_event_loop_too_batches_hold_64_and_fail_alone(model):
    batcher = batcher_of(model)

    async def run():
        places = [ask_here(batcher, *[k] * 30) for k in (1, 2, 13, 4)]
        return await answers(*places)

    first, second, third, fourth = asyncio.run(run())
    assert (first, second) == ([1] * 30, [2] * 30)
    assert isinstance(third, RuntimeError)
    assert isinstance(fourth, RuntimeError)
    assert model.sizes == [60, 60]
    assert batcher.waiting == 0


def test_a_full_queue_refuses_and_has_room_again(model):
    batcher = batcher_of(model, most=3)
    held(model, batcher)
    waiting = ask(batcher, 1, 2)
    with pytest.raises(QueueFull):
        batcher.reserve(2)
    assert batcher.waiting == 2
    model.free.set()
    waiting.answer.result(5)
    assert ask(batcher, *range(5)).answer.result(5)["first"].size == 5  # nothing else waits
    assert batcher.drain(5)


def test_a_failed_batch_fails_its_own_requests(model):
    batcher = batcher_of(model)
    held(model, batcher)
    unlucky = ask(batcher, 13)
    model.free.set()
    assert isinstance(unlucky.answer.exception(5), RuntimeError)
    assert ask(batcher, 7).answer.result(5)["first"].tolist() == [7]
    assert batcher.drain(5)


def test_who_has_gone_is_dropped(model):
    batcher = batcher_of(model)
    held(model, batcher)
    gone, stays = ask(batcher, 1), ask(batcher, 2)
    assert gone.answer.cancel()
    model.free.set()
    assert stays.answer.result(5)["first"].tolist() == [2]
    assert model.seen == [0, 2]
    assert batcher.waiting == 0
    assert batcher.drain(5)


def test_a_place_that_is_given_up_frees_its_room_once(model):
    batcher = batcher_of(model, most=2)
    place = batcher.reserve(2)
    for _ in range(2):
        batcher.give_up(place, ValueError("no image"))
    assert batcher.waiting == 0
    assert isinstance(place.answer.exception(0), ValueError)


def test_draining_finishes_what_waits_and_later_work_too(model):
    batcher = batcher_of(model)
    held(model, batcher)
    places = [ask(batcher, k) for k in (1, 2)]
    model.free.set()
    assert batcher.drain(5)
    assert all(each.answer.done() for each in places)
    assert ask(batcher, 3).answer.result(5)["first"].tolist() == [3]
    assert batcher.drain(5)
