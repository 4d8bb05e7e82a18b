"""How often somebody may ask."""

import math
import time
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from limits import RateLimitItem, parse, parse_many
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.protocol.errors import problem
from service.security.access import OPEN, Principal

#: Most requests with a bad key or token that one address is answered 401.
FAILURES: Final = parse("30/minute")


class RateLimit:
    """Middleware that answers 429 to who asks too often; each principal is counted alone.

    Every answer says how much is left (draft-ietf-httpapi-ratelimit-headers). Each process
    counts for itself.
    """

    def __init__(self, app: ASGIApp, rate: str) -> None:
        """Wrap an app; a rate is read as in :class:`service.settings.ServiceSettings`."""
        self.app = app
        self.rates = [] if rate in ("", "none") else parse_many(rate)
        self.policy = ", ".join(
            f'"{place}";q={each.amount};w={each.get_expiry()}'
            for place, each in enumerate(self.rates)
        )
        self.counted = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        if scope["type"] != "http" or not self.rates or scope["path"] in OPEN:
            return await self.app(scope, receive, send)
        principal: Principal = scope["state"]["principal"]
        used_up = [each for each in self.rates if not self.counted.hit(each, principal.id)]
        shown = {"RateLimit-Policy": self.policy, "RateLimit": self._left(principal.id)}
        if used_up:
            wait = max(_wait(self.counted, each, principal.id) for each in used_up)
            detail = f"'{principal.name}' asks too often. Try again in {wait} seconds."
            headers = {"Retry-After": str(wait), **shown}
            refused = problem(429, detail, scope["path"], headers=headers)
            return await refused(scope, receive, send)

        async def shown_too(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(shown)
            await send(message)

        await self.app(scope, receive, shown_too)

    def _left(self, who: str) -> str:
        parts = []
        for place, each in enumerate(self.rates):
            window = self.counted.get_window_stats(each, who)
            seconds = max(0, math.ceil(window.reset_time - time.time()))
            parts.append(f'"{place}";r={max(0, window.remaining)};t={seconds}')
        return ", ".join(parts)


class Failures:
    """Counts bad keys and tokens by the address they come from.

    Good ones are never counted: clients behind one proxy share an address, and none of them
    should be locked out by another. A key has 256 random bits, so the limit is not what keeps
    it from being guessed; it keeps floods of guesses short.
    """

    def __init__(self) -> None:
        """Start with nobody."""
        self.counted = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, scope: Scope) -> None:
        """Count a failure.

        Raises:
            HTTPException: 429, there were too many.
        """
        who = network(scope.get("client"))
        if not self.counted.hit(FAILURES, who):
            wait = _wait(self.counted, FAILURES, who)
            detail = f"Too many bad keys come from your address. Try again in {wait} seconds."
            raise HTTPException(429, detail, {"Retry-After": str(wait)})


def network(client: Any) -> str:
    """What a client's addresses have in common: all of an IPv4 address, 64 bits of an IPv6.

    >>> network(("192.0.2.7", 80)), network(("2001:db8::7", 80)), network(None)
    ('192.0.2.7', '2001:db8::', '')
    """
    try:
        address = ip_address(client[0] if client else "")
    except ValueError:
        return client[0] if client else ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)


def _wait(counted: SlidingWindowCounterRateLimiter, rate: RateLimitItem, who: str) -> int:
    """Seconds until it is worth trying again."""
    window = counted.get_window_stats(rate, who)
    return max(1, math.ceil(window.reset_time - time.time()))
