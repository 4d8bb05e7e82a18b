"""Keys that requests carry: made, found, listed, revoked."""

import asyncio
import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Any, Final

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from evaluation.errors import Fault, InputError
from service.protocol.pages import Window, newest
from service.security.access import NOBODY, ROLES, SCOPES, Principal
from service.storage.database import Database
from service.storage.tables import ApiKey, now

#: How a key begins, so that people and scanners of source code know one when they see it.
PREFIX: Final = "evs_"

FORM: Final = re.compile(PREFIX + r"([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)

#: After how many seconds at the latest a process stops taking a key that was revoked elsewhere.
REVOKED_WITHIN: Final = 5.0

#: Shortest time between two looks into the database for keys that nobody knows, in seconds.
LOOK_AGAIN: Final = 0.25

#: Most keys that are good at one time; each process holds all of them in memory.
MOST: Final = 10_000

#: How long a key is good unless something else is asked for.
LIFETIME: Final = "90d"


class UnreadableError(Exception):
    """The keys cannot be read, so nobody can be let in."""


@dataclass(frozen=True)
class Known:
    """A key that is good, as a process remembers it.

    Attributes:
        digest: SHA-256 of its secret.
        holder: Who asks with it.
        expires: When it ends; None: never.
    """

    digest: bytes
    holder: Principal
    expires: datetime | None


#: What the secret of an unknown key is compared with, so that both take the same time.
UNKNOWN: Final = Known(bytes(32), NOBODY, None)


class Keys:
    """The keys of a service.

    All good keys are read at once and remembered for :data:`REVOKED_WITHIN` seconds, so that
    neither keys in use nor a flood of invented ones cost the database anything.
    """

    def __init__(self, database: Database) -> None:
        """Use a database; nothing is read yet."""
        self.database = database
        self._known: dict[str, Known] = {}
        self._read = self._failed = float("-inf")
        self._reading = asyncio.Lock()

    def create(
        self, name: str, role: str, scopes: Collection[str] = (), expires: str = LIFETIME
    ) -> tuple[ApiKey, str]:
        """Make a key.

        Args:
            name: Of whoever will hold it.
            role: What its holder is, see :data:`service.security.access.ROLES`.
            scopes: What it may be used for, a part of what the role may do; none: all of it.
            expires: Days it is good for, such as ``90d``, or ``never``.

        Returns:
            Its row, and the key. Nothing that is stored can tell the key again.

        Raises:
            InputError: Something of this does not fit; one fault each.
        """
        faults = [*_faults_of_name(name), *_faults_of_scopes(role, scopes)]
        try:
            lifetime = read_lifetime(expires)
        except InputError as error:
            faults += error.faults
        if faults:
            raise InputError(*faults)
        secret = secrets.token_urlsafe(32)
        row = ApiKey(
            id=secrets.token_hex(8),
            digest=sha256(secret.encode()).hexdigest(),
            name=name.strip(),
            role=role,
            scopes=[s for s in SCOPES if s in (scopes or ROLES[role])],
            expires=lifetime and now() + lifetime,
        )
        with self.database.write() as session:
            if (session.scalar(select(func.count()).where(*_good())) or 0) >= MOST:
                remedy = "Revoke those that are not in use."
                raise InputError(Fault("key", f"there are {MOST} good keys already", remedy))
            session.add(row)
        return row, f"{PREFIX}{row.id}_{secret}"

    def list(self, window: Window) -> Sequence[ApiKey]:
        """The keys, also ended ones, the newest first: one more than the window has."""
        rows = newest(select(ApiKey), ApiKey.created, ApiKey.id, window)
        with self.database.read() as session:
            return session.scalars(rows).all()

    def revoke(self, key: str) -> bool:
        """Take a key back, by its id. It never becomes good again.

        Returns:
            Whether there is such a key; a second call changes nothing.
        """
        taken = update(ApiKey).where(ApiKey.id == key, ApiKey.revoked.is_(None))
        with self.database.write() as session:
            session.execute(taken.values(revoked=now()))
            found = session.get(ApiKey, key) is not None
        self._read = float("-inf")
        return found

    async def holder(self, given: str) -> Principal | None:
        """Who asks with a key.

        Args:
            given: What the request carries, whatever it is.

        Returns:
            None if it is no good key: malformed, unknown, expired or revoked.

        Raises:
            UnreadableError: The database does not answer.
        """
        if (parts := FORM.fullmatch(given)) is None:
            return None
        key, secret = parts.groups()
        arrived = monotonic()
        await self._refresh(arrived - REVOKED_WITHIN)
        if key not in self._known:
            await self._refresh(arrived)  # it may have been made this moment
        known = self._known.get(key, UNKNOWN)
        same = hmac.compare_digest(sha256(secret.encode()).digest(), known.digest)
        alive = known.expires is None or known.expires > now()
        return known.holder if same and alive and known is not UNKNOWN else None

    async def _refresh(self, since: float) -> None:
        """Read the keys unless that was done since a moment; one reads, the others wait."""
        if self._read >= since:
            return
        asked = monotonic()
        async with self._reading:
            if self._read >= since:
                return
            if self._failed > asked:
                raise UnreadableError
            pause = max(self._read, self._failed) + LOOK_AGAIN - monotonic()
            await asyncio.sleep(max(0.0, pause))
            began = monotonic()
            try:
                self._known = await asyncio.to_thread(self._load)
            except SQLAlchemyError as error:
                self._failed = monotonic()
                raise UnreadableError from error
            self._read = began

    def _load(self) -> dict[str, Known]:
        with self.database.read() as session:
            rows = session.scalars(select(ApiKey).where(*_good())).all()
        return {
            row.id: Known(
                bytes.fromhex(row.digest),
                Principal(row.id, row.name, frozenset(s for s in SCOPES if s in row.scopes)),
                row.expires,
            )
            for row in rows
        }


def _good() -> tuple[Any, ...]:
    """Conditions of a key that is good now."""
    return ApiKey.revoked.is_(None), or_(ApiKey.expires.is_(None), ApiKey.expires > now())


def read_lifetime(text: str) -> timedelta | None:
    """How long a key is good; None: for ever.

    Raises:
        InputError: The text is neither days from 1 to 3650 nor ``never``.

    >>> read_lifetime("90d"), read_lifetime("never")
    (datetime.timedelta(days=90), None)
    """
    if text == "never":
        return None
    days = re.fullmatch(r"([1-9][0-9]{0,3})d", text, re.ASCII)
    if days is None or int(days[1]) > 3650:
        remedy = "Give days from 1d to 3650d, or 'never'."
        raise InputError(Fault("key", f"it is {text!r:.40}", remedy, column="expires"))
    return timedelta(days=int(days[1]))


def _faults_of_name(name: str) -> list[Fault]:
    if name.strip() and len(name) <= 200 and name.isprintable():
        return []
    remedy = "Say in up to 200 letters who holds the key."
    return [Fault("key", f"it is {name!r:.40}", remedy, column="name")]


def _faults_of_scopes(role: str, scopes: Collection[str]) -> list[Fault]:
    if role not in ROLES:
        remedy = f"Roles are {', '.join(ROLES)}."
        return [Fault("key", f"there is no role {role!r:.40}", remedy, column="role")]
    remedy = f"A {role} may have {', '.join(s for s in SCOPES if s in ROLES[role])}."
    beyond = sorted(set(scopes) - ROLES[role])
    return [
        Fault("key", f"a {role} has no scope {scope!r:.40}", remedy, column="scopes")
        for scope in beyond
    ]
