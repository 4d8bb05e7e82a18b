"""How slowly the body of a request may come."""

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

#: Bytes a second that a body has to bring on average, after the time that one piece may take.
#: So the largest one takes an hour at the most, and a letter every half minute is too slow.
SLOWEST: Final = 2**14


class Pace:
    """Waits for the pieces of one body, each for so long and for all of them so long.

    Only the time counts in which its reader waits: a service that is busy makes no slow sender.
    """

    def __init__(self, receive: Receive, seconds: float) -> None:
        """Wait at most some seconds for each piece."""
        self._receive, self._seconds = receive, seconds
        self._left = seconds

    async def next(self) -> Message:
        """The next piece. Each byte of it buys the next ones some time.

        Raises:
            HTTPException: 408, it does not come.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout_at(began + min(self._left, self._seconds)):
                message = await self._receive()
        except TimeoutError:
            detail = (
                f"The body came too slowly: no piece of it for {self._seconds:g} seconds, or "
                f"after these less than {SLOWEST} bytes a second. The limit is "
                "EVENSCAN_BODY_SECONDS."
            )
            raise HTTPException(408, detail, {"Connection": "close"}) from None
        self._left += len(message.get("body", b"")) / SLOWEST - (clock() - began)
        return message
