"""The one way from images to answers, for every route that asks a model."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from fastapi import HTTPException, Request

from evaluation.errors import Fault, InputError
from service.inference.batcher import Place, QueueFull, Rows
from service.inference.decoding import Decoding, decode_here
from service.inference.inputs import Given, read_images
from service.inference.names import PARTS
from service.inference.refusals import too_many
from service.inference.runtime import LoadedModel, Runtime
from service.security.access_log import note_inference
from service.settings import ServiceSettings
from training.imaging import Pixels
from training.predictor import LARGEST_BATCH

#: After how many seconds of waiting it is looked whether the sender is still there.
PATIENCE: Final = 0.1

#: Bytes of a body from which on it is read apart from the event loop.
LARGE: Final = 1_000_000

#: Seconds after which a request that found the queue full may come again.
RETRY: Final = "1"


class Engine:
    """Decodes, queues, runs, and gives up what nobody waits for any more."""

    def __init__(self, runtime: Runtime, settings: ServiceSettings) -> None:
        """Use the models of a runtime, within the limits of the settings."""
        self.runtime, self.settings = runtime, settings
        self._decoding = Decoding()

    async def read(
        self, request: Request, model: LoadedModel, taken: Sequence[str] = PARTS[:1]
    ) -> Given:
        """The images of a request.

        Args:
            request: Of a route.
            model: Whose contract arrays are to fit.
            taken: Parts that the route reads.

        Raises:
            HTTPException: 400, 415; see :func:`service.inference.inputs.read_images`.
            InputError: The images do not fit the model, are none or too many.
        """
        body = await request.body()
        kind = request.headers.get("content-type", "")
        contract, most = model.predictor.contract, self.settings.max_images
        if len(body) > LARGE:  # a large body takes long enough to hold up other requests
            given = await asyncio.to_thread(read_images, kind, body, contract, most)
        else:
            given = read_images(kind, body, contract, most)
        faults = [
            Fault("body", f"unknown part '{name[:80]}'", f"Send {' and '.join(taken)}.")
            for name in sorted(given.parts)
            if given.parts[name] and name not in taken
        ]
        if given.count > most:
            faults.append(too_many(given.count, most))
        if not given.names:
            faults.append(Fault("body", "there are no images", "Send one.", column="images"))
        if faults:
            raise InputError(*faults)
        return given

    async def ask(self, request: Request, model: LoadedModel, given: Given) -> Rows:
        """What a model says of the images of a request.

        Raises:
            HTTPException: 503, too many images wait for the model.
            InputError: Some images cannot be decoded, or are refused; every one is named.
        """
        return (await self.ask_with_pixels(request, model, given))[0]

    async def ask_with_pixels(
        self, request: Request, model: LoadedModel, given: Given
    ) -> tuple[Rows, Pixels]:
        """The same, with the pixels that the model saw, ``[n, channel, *space]``."""
        count = given.count
        note_inference(request, model.version.id, count)
        contract, modality = model.predictor.contract, model.predictor.modality
        pixels = given.pixels
        if pixels is None:
            pixels = decode_here(given.files, contract, modality)
        place = self._place(model, count)
        if pixels is None:
            self._decoding.start(given.files, contract, model.batcher, place, modality)
        elif model.quick and count <= LARGEST_BATCH:
            model.batcher.submit_here(place, pixels)
        else:
            model.batcher.submit(place, pixels)
        rows = await _answer(request, place)
        assert place.pixels is not None
        return rows, place.pixels

    def _place(self, model: LoadedModel, count: int) -> Place:
        try:
            return model.batcher.reserve(count)
        except QueueFull as full:
            detail = f"{full}; {count} more are beyond EVENSCAN_MAX_WAITING. Try again later."
            raise HTTPException(503, detail, {"Retry-After": RETRY}) from None

    def close(self) -> None:
        """Finish what was begun."""
        self._decoding.close()
        self.runtime.close()


async def _answer(request: Request, place: Place) -> Rows:
    """The answer to a place; if its sender goes, the place is left."""
    answer: asyncio.Future[Any] = asyncio.wrap_future(place.answer)
    try:
        await asyncio.wait([answer], timeout=PATIENCE)
        if not answer.done():
            gone: asyncio.Future[Any] = asyncio.ensure_future(_gone(request))
            try:
                await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
            if not answer.done():
                raise HTTPException(408, "The sender went away before there was an answer.")
        rows: Rows = answer.result()
        return rows
    finally:
        answer.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
