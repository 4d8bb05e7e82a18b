"""What the client raises, and how what the network says is worded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx2

from service.client.types import Fault


class ServiceError(Exception):
    """The service refused a request, or did not answer.

    Attributes:
        status: HTTP status; None if there was no answer.
        detail: What happened, and what to do about it.
        errors: Every fault of the input.
        request: Id under which the service's log has the request.
        kind: Kind of the problem, a URI.
        after: Seconds after which the service wants to be asked again; 0 if it names none.
    """

    def __init__(
        self,
        status: int | None,
        detail: str,
        errors: Sequence[Fault] = (),
        request: str = "",
        kind: str = "about:blank",
        after: float = 0.0,
    ) -> None:
        """Keep what is known; the message is the detail."""
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, tuple(errors)
        self.request, self.kind, self.after = request, kind, after


def foreign(status: int) -> ServiceError:
    """The error for an answer that this service does not give."""
    return ServiceError(status, "The answer is none of this service. Check the address.")


@contextmanager
def worded(address: str) -> Iterator[None]:
    """Say in words of the service what goes wrong on the way to it.

    Raises:
        ServiceError: It does not answer, or what answers is something else.
    """
    try:
        yield
    except httpx2.DecodingError:
        raise foreign(200) from None
    except httpx2.TransportError as error:
        said = str(error) or type(error).__name__
        detail = f"{address} does not answer: {said}. Check that the service runs there."
        raise ServiceError(None, detail) from None
