"""Where ``champion`` and ``challenger`` point: moves that are added, never changed."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.storage.tables import AliasEvent

#: The version that answers unless another is asked for.
CHAMPION: Final = "champion"

#: The version that was registered last and may become the champion.
CHALLENGER: Final = "challenger"

ALIASES: Final = (CHAMPION, CHALLENGER)


def latest(session: Session, alias: str) -> AliasEvent | None:
    """The last move of an alias; None before the first."""
    events = select(AliasEvent).where(AliasEvent.alias == alias)
    return session.scalars(events.order_by(AliasEvent.id.desc()).limit(1)).first()


def pointed(session: Session, alias: str) -> int | None:
    """Number of the version that an alias points to; None before the first move."""
    event = latest(session, alias)
    return event.version_id if event else None


def standing(session: Session, alias: str) -> Sequence[AliasEvent]:
    """The moves of an alias that no later one undoes, the oldest first.

    Each rollback takes back the last move that stands, so several in a row walk back through
    the history, and a promotion after them begins from there.
    """
    events = select(AliasEvent).where(AliasEvent.alias == alias).order_by(AliasEvent.id)
    stand: list[AliasEvent] = []
    for event in session.scalars(events):
        if event.undoes is None:
            stand.append(event)
        else:
            stand = [each for each in stand if each.id != event.undoes]
    return stand


def moved_by(session: Session, request: str | None) -> AliasEvent | None:
    """The move that a request has made already, when its answer was lost."""
    if request is None:
        return None
    return session.scalars(select(AliasEvent).where(AliasEvent.request == request)).first()


def move(
    session: Session,
    alias: str,
    version: int,
    who: str,
    why: str,
    audit: str | None,
    undoes: int | None = None,
    request: str | None = None,
) -> AliasEvent:
    """Point an alias to a version, in the caller's transaction.

    A move to where it points already adds nothing, so that a repeated step changes nothing; but
    a rollback is always recorded.
    """
    last = latest(session, alias)
    if last is not None and last.version_id == version and undoes is None:
        return last
    event = AliasEvent(
        alias=alias,
        version_id=version,
        previous_id=last.version_id if last else None,
        who=who,
        why=why,
        audit=audit,
        undoes=undoes,
        request=request,
    )
    session.add(event)
    session.flush()
    return event
