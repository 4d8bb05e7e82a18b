"""How much of the memory the bodies of requests may take, all together."""

from typing import Final

from starlette.exceptions import HTTPException

#: Seconds after which a request for which there was no memory may come again.
RETRY: Final = "2"


class Buffered:
    """The bytes of bodies that a process holds, for its one event loop.

    Attributes:
        most: Bytes that it may hold.
        held: Bytes that it does.
    """

    def __init__(self, most: int) -> None:
        """Hold nothing yet."""
        self.most, self.held = most, 0


class Share:
    """What one request holds of them, until it has been answered."""

    def __init__(self, of: Buffered) -> None:
        """Hold nothing yet."""
        self._of, self._held = of, 0

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises:
            HTTPException: 503, all requests together would hold too many.
        """
        if self._of.held + size > self._of.most:
            detail = (
                f"The bodies of all requests would be more than {self._of.most} bytes. Try "
                "again later; the limit is EVENSCAN_MAX_BUFFERED_BYTES."
            )
            raise HTTPException(503, detail, {"Retry-After": RETRY, "Connection": "close"})
        self._of.held += size
        self._held += size

    def release(self) -> None:
        """Hold nothing any more; a second call changes nothing."""
        self._of.held -= self._held
        self._held = 0
