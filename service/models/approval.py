"""Promotion by a person: on the strength of an audit that passed, or openly without one."""

from typing import Final

import orjson
from sqlalchemy import select

from evaluation.errors import Fault
from service.models.conflicts import RefusedError
from service.models.registry import ModelRegistry
from service.storage.tables import AliasEvent, AuditRecord

#: What the reason of a promotion against its verdict begins with.
OVERRIDE: Final = "Override"


def approve(
    registry: ModelRegistry, version: int, who: str, why: str, *, override: bool
) -> AliasEvent:
    """Make a version the champion because a person says so.

    What allows it is the newest audit of the version that the service made, or else the one
    that came with its run.

    Args:
        registry: Of the service.
        version: Number of the version.
        who: Who decides.
        why: The reason, as a sentence.
        override: Whether they decide so although the verdict is not PASS. The recorded reason
            says it.

    Raises:
        InputError: There is no such version, or nobody or no reason is named.
        DeletedError: It was deleted.
        RefusedError: Its verdict is not PASS, and ``override`` does not say that this is known.
    """
    audit, verdict = _verdict(registry, version)
    if verdict != "PASS":
        if not override:
            found = f"the verdict on version {version} is {verdict or 'missing'}, not PASS"
            remedy = "Read its audit; to promote it nevertheless, say override."
            raise RefusedError(Fault("promotion", found, remedy))
        why = f"{OVERRIDE} of verdict {verdict or 'missing'}: {why}" if why.strip() else why
    return registry.promote(version, who, why, audit)


def _verdict(registry: ModelRegistry, version: int) -> tuple[str | None, str | None]:
    """Id and verdict of the audit that counts; the audit of a run has no id."""
    row = registry.get(str(version))
    newest = select(AuditRecord).where(AuditRecord.version_id == version)
    newest = newest.order_by(AuditRecord.created.desc(), AuditRecord.id).limit(1)
    with registry.database.read() as session:
        record = session.scalars(newest).first()
    if record is not None:
        return record.id, record.verdict
    own = orjson.loads((registry.directory(row) / "audit.json").read_bytes())
    return None, own.get("verdict")
