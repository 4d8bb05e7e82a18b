"""Promotion by a person: on the strength of an audit that passed, or openly without one."""

from typing import Final

import orjson
from sqlalchemy import select

from evaluation.errors import Fault
from service.models.conflicts import RefusedError
from service.models.registry import ModelRegistry
from service.storage.tables import AliasEvent, AuditRecord, Job, ModelVersion

#: What the reason of a promotion against its verdict begins with.
OVERRIDE: Final = "Override"


def approve(
    registry: ModelRegistry,
    version: int,
    who: str,
    why: str,
    *,
    override: bool,
    request: str | None = None,
) -> AliasEvent:
    """Make a version the champion because a person says so.

    What allows it is the newest audit of the version that the service made, or else the one
    that came with its run.

    Args:
        registry: Of the service.
        version: Number of the version.
        who: Who decides.
        why: The reason, as a sentence.
        override: Whether they decide so although the verdict is not PASS, or somebody else was
            to approve it. The recorded reason says it.
        request: Id of the request that asks for it, see :meth:`ModelRegistry.promote`.

    Raises:
        InputError: There is no such version, or nobody or no reason is named.
        DeletedError: It was deleted.
        RefusedError: Its verdict is not PASS, or its retraining named another approver, and
            ``override`` does not say that this is known.
    """
    row = registry.get(str(version))
    audit, verdict = _verdict(registry, row)
    approver = _approver(registry, row)
    against, faults = [], []
    if verdict != "PASS":
        against.append(f"verdict {verdict or 'missing'}")
        found = f"the verdict on version {version} is {verdict or 'missing'}, not PASS"
        remedy = "Read its audit; to promote it nevertheless, say override."
        faults.append(Fault("promotion", found, remedy))
    if approver not in (None, who):
        against.append(f"approver {approver}")
        found = f"version {version} waits for the approval of {approver}"
        remedy = "Ask them; to promote it nevertheless, say override."
        faults.append(Fault("promotion", found, remedy))
    if faults and not override:
        raise RefusedError(*faults)
    if against and why.strip():
        why = f"{OVERRIDE} of {' and '.join(against)}: {why}"
    return registry.promote(version, who, why, audit, request)


def _approver(registry: ModelRegistry, version: ModelVersion) -> str | None:
    """Who was named, when the version was asked for, to approve it."""
    with registry.database.read() as session:
        job = session.get(Job, version.job) if version.job else None
        return job.request.get("approver") if job else None


def _verdict(registry: ModelRegistry, version: ModelVersion) -> tuple[str | None, str | None]:
    """Id and verdict of the audit that counts; the audit of a run has no id."""
    newest = select(AuditRecord).where(AuditRecord.version_id == version.id)
    newest = newest.order_by(AuditRecord.created.desc(), AuditRecord.id).limit(1)
    with registry.database.read() as session:
        record = session.scalars(newest).first()
    if record is not None:
        return record.id, record.verdict
    own = orjson.loads((registry.directory(version) / "audit.json").read_bytes())
    return None, own.get("verdict")
