"""Calls that ask a model."""

from collections.abc import Iterable
from typing import Any, Literal

import httpx2
import numpy as np
from numpy.typing import NDArray

from service.client.answers import read
from service.client.arrays import NPY, EmbeddingArray, npy, read_embeddings
from service.client.calls import Calls
from service.client.inference_types import Counterfactuals, Embeddings, Predictions
from service.client.places import named
from service.client.types import Image

#: Images: files, or pairs of a name and the bytes of a file; or one array of all of them,
#: ``[n, channel, *space]`` uint8, or floats in [0, 1], in the size that the model takes.
Images = Iterable[Image] | NDArray[Any]


class InferenceCalls(Calls):
    """Predictions, embeddings and counterfactuals of images."""

    def predictions(self, images: Images, model: int | str = "champion") -> Predictions:
        """Probability, decision and warnings for each image.

        Args:
            images: Files, or pairs of a name and the bytes of a file; or an array
                ``[n, channel, *space]`` of uint8, or of floats in [0, 1], in the size that the
                model takes. As many as the service takes in one request (64 by default).
            model: An alias, or the number of a version.

        Raises:
            InputError: There are no images, or some are not there or empty.
            ServiceError: They do not fit; every fault is named.
        """
        return read(self._ask("predictions", images, model=model), Predictions)

    def embeddings(
        self,
        images: Images,
        model: int | str = "champion",
        part: Literal["content", "style", "both"] = "both",
    ) -> Embeddings:
        """Content and style of each image; see :meth:`predictions`."""
        answer = self._ask("embeddings", images, model=model, part=part)
        return read(answer, Embeddings)

    def embedding_array(
        self,
        images: Images,
        model: int | str = "champion",
        part: Literal["content", "style", "both"] = "both",
    ) -> EmbeddingArray:
        """The same as an array ``[n, code]``, and the version of the model that made it."""
        answer = self._ask("embeddings", images, NPY, model=model, part=part)
        return read_embeddings(answer)

    def counterfactuals(
        self,
        images: Iterable[Image],
        partners: Iterable[Image],
        model: int | str = "champion",
    ) -> Counterfactuals:
        """Each image with the style of a partner; as many partners as images, or one."""
        files = [("images", each) for each in images]
        files += [("partners", each) for each in partners]
        path = "/v1/counterfactuals"
        with named(files):
            answer = self._connection.send("POST", path, query={"model": model}, files=files)
        return read(answer, Counterfactuals)

    def _ask(
        self, kind: str, images: Images, accept: str = "application/json", **query: Any
    ) -> httpx2.Response:
        """Send files as a form, and an array as it is."""
        path = f"/v1/{kind}"
        if isinstance(images, np.ndarray):
            body = (NPY, npy(images))
            return self._connection.send("POST", path, query=query, body=body, accept=accept)
        files = [("images", each) for each in images]
        with named(files):
            return self._connection.send("POST", path, query=query, files=files, accept=accept)
