"""The Python client: every endpoint as a method, answers as frozen types."""

import os
from types import TracebackType
from typing import Self

import httpx2

from service.client.administration import AdministrationCalls
from service.client.arrays import EmbeddingArray
from service.client.audits import AuditCalls
from service.client.cohorts import CohortCalls
from service.client.connection import Connection
from service.client.error import ServiceError
from service.client.inference import InferenceCalls
from service.client.inference_types import (
    Counterfactual,
    Counterfactuals,
    Embedding,
    Embeddings,
    Prediction,
    Predictions,
)
from service.client.jobs import JobCalls
from service.client.models import ModelCalls
from service.client.types import (
    Aliases,
    Audit,
    Cohort,
    Event,
    Image,
    Job,
    Key,
    Line,
    Model,
    Move,
)

__all__ = [
    "Aliases",
    "Audit",
    "Client",
    "Cohort",
    "Counterfactual",
    "Counterfactuals",
    "Embedding",
    "EmbeddingArray",
    "Embeddings",
    "Event",
    "Image",
    "Job",
    "Key",
    "Line",
    "Model",
    "Move",
    "Prediction",
    "Predictions",
    "ServiceError",
]


class Client(
    InferenceCalls, CohortCalls, ModelCalls, AuditCalls, JobCalls, AdministrationCalls
):
    """Calls a running service; use it in a ``with`` statement, or close it.

    What fails for a passing reason is tried again, and nothing is done twice by that. Every
    method raises :class:`ServiceError` if the service refuses or does not answer, InputError
    if what it is given cannot be sent, and returns at once; those that begin long work return
    its :class:`Job`, to :meth:`wait` for. What is under ``/v2`` is for clients of the Open
    Inference Protocol and has no method here.

    Examples:
        >>> from service.client import Client
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     job = client.wait(client.retrain({"cohort": "phantom", "method": "erm"}).id)
        ...     print(job.state, job.result)
    """

    def __init__(
        self,
        address: str = "",
        key: str = "",
        *,
        timeout: float = 120.0,
        patience: float = 60.0,
        insecure: bool = False,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Prepare to call a service; nothing is sent yet.

        Args:
            address: Such as ``https://evenscan.example.org``. Default: ``EVENSCAN_URL``.
            key: Key or OpenID token. Default: ``EVENSCAN_KEY``; none for an open service.
            timeout: Seconds to wait for a piece of an answer.
            patience: Seconds within which what has failed may be tried again.
            insecure: Send the key without encryption to another machine.
            transport: In place of the network, for tests.

        Raises:
            InputError: There is no address, or the key could be read on its way there.
        """
        connection = Connection(
            address or os.environ.get("EVENSCAN_URL", ""),
            key or os.environ.get("EVENSCAN_KEY", ""),
            timeout,
            patience,
            insecure=insecure,
            transport=transport,
        )
        super().__init__(connection)

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()
