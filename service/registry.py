"""Model versions, and which of them is the champion."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.errors import Fault, InputError
from service.database import Database
from service.tables import AliasEvent, ModelVersion
from training.predictor import Predictor

CHAMPION: Final = "champion"

#: What a run directory needs for its model to be served, and judged against a challenger.
NEEDED: Final = ("config.json", "contract.json", "model.onnx", "split.csv", "audit.json")

#: What a served model has no use for: checkpoints are as large as several models.
LEFT_OUT: Final = ("checkpoint*", "*.log", ".*")


class ModelRegistry:
    """The versions in ``folder``, with their states in the database.

    A version's folder is written whole before its row is committed, and never changed after.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        """Use a database and a folder; the folder is made when the first version comes."""
        self.database, self.folder = database, folder

    def register(self, run: Path, job: str | None = None) -> ModelVersion:
        """Copy a run directory and make it a version.

        Args:
            run: A finished run directory, called by the run's id.
            job: The job that asks. A second call for the same job finds the version of the
                first; without a job, a second call for the same run does.

        Raises:
            InputError: The folder is not a finished run directory, or another run of its name
                is a version already.
        """
        missing = [name for name in NEEDED if not (run / name).is_file()]
        if missing:
            remedy = "Give the folder of a finished training run."
            raise InputError(
                *(Fault(str(run), f"there is no {name}", remedy) for name in missing)
            )
        try:
            config = json.loads((run / "config.json").read_text(encoding="utf-8"))
        except ValueError as error:
            damage = f"its config.json is damaged: {error}"
            raise InputError(Fault(str(run), damage, "Train it anew.")) from None
        Predictor(run, threads=1)  # refuses a model that could not be served
        name = run.resolve().name
        with self.database.read() as session:
            if (found := self._registered(session, job, name, config)) is not None:
                return found
        incoming = self.folder / f".incoming-{job or uuid4().hex}"
        shutil.rmtree(incoming, ignore_errors=True)
        try:
            shutil.copytree(run, incoming, ignore=shutil.ignore_patterns(*LEFT_OUT))
            return self._keep(incoming, job, name, config)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _keep(
        self, incoming: Path, job: str | None, name: str, config: dict[str, Any]
    ) -> ModelVersion:
        """Move a copied run to its place and record it, both or neither."""
        with self.database.write() as session:
            # Asked again under the write lock: another process may have been faster.
            if (found := self._registered(session, job, name, config)) is not None:
                return found
            version = ModelVersion(
                run=name, method=config["method"]["name"], directory="", job=job
            )
            session.add(version)
            session.flush()
            version.directory = str(version.id)
            target = self.folder / version.directory
            # A crash between the move and the commit leaves a folder that no row knows.
            shutil.rmtree(target, ignore_errors=True)
            incoming.rename(target)
        return version

    def _registered(
        self, session: Session, job: str | None, run: str, config: dict[str, Any]
    ) -> ModelVersion | None:
        same = ModelVersion.run == run if job is None else ModelVersion.job == job
        found = session.scalars(select(ModelVersion).where(same)).first()
        if found is not None and job is None:
            kept = self.folder / found.directory / "config.json"
            if json.loads(kept.read_text(encoding="utf-8")) != config:
                where = f"version {found.id} came from another run called '{run}'"
                raise InputError(Fault(run, where, "Rename the folder, and register it again."))
        return found

    def promote(self, version: int, who: str, why: str, audit: str | None = None) -> AliasEvent:
        """Make a version the champion, and record it.

        Promoting the champion again adds no event, so that a repeated step changes nothing.

        Args:
            version: Number of the version.
            who: Person or job that decides.
            why: The reason, as a sentence.
            audit: Id of the audit that allows it, if one does.

        Raises:
            InputError: There is no such version, or nobody or no reason is named.
        """
        blank = [name for name, text in (("who", who), ("why", why)) if not text.strip()]
        if blank:
            remedy = "A move cannot be erased: say who decides, and why."
            faults = [Fault("promotion", f"'{name}' is empty", remedy) for name in blank]
            raise InputError(*faults)
        with self.database.write() as session:
            return _move(session, version, who, why, audit)

    def promote_over(
        self, champion: int | None, version: int, who: str, why: str, audit: str
    ) -> bool:
        """Promote as :meth:`promote` does, if the champion is still the one compared with.

        Args:
            champion: Number of the champion that the audit compared with; None if there was
                none.
            version: Number of the version.
            who: Person or job that decides.
            why: The reason, as a sentence.
            audit: Id of the audit that allows it.

        Returns:
            Whether the version is the champion now.

        Raises:
            InputError: There is no such version.
        """
        with self.database.write() as session:
            latest = _latest(session)
            if (latest.version_id if latest else None) not in (champion, version):
                return False
            _move(session, version, who, why, audit)
        return True

    def champion(self) -> ModelVersion | None:
        """The version that answers unless another is asked for; None before the first."""
        with self.database.read() as session:
            latest = _latest(session)
            return session.get(ModelVersion, latest.version_id) if latest else None

    def get(self, name: str) -> ModelVersion:
        """The version of an alias (``champion``) or of a number.

        Raises:
            InputError: There is none.
        """
        if name == CHAMPION:
            if (version := self.champion()) is None:
                remedy = "Register and promote a model first."
                raise InputError(Fault("model", "there is no champion yet", remedy))
            return version
        with self.database.read() as session:
            number = int(name) if name.isdecimal() and len(name) < 19 else 0
            found = session.get(ModelVersion, number)
        if found is None:
            raise unknown_version(name)
        return found

    def list(self) -> Sequence[ModelVersion]:
        """All versions, the newest first."""
        with self.database.read() as session:
            return session.scalars(select(ModelVersion).order_by(ModelVersion.id.desc())).all()

    def events(self, version: int) -> Sequence[AliasEvent]:
        """The moves of aliases to or from a version, the oldest first."""
        moves = (AliasEvent.version_id == version) | (AliasEvent.previous_id == version)
        with self.database.read() as session:
            return session.scalars(
                select(AliasEvent).where(moves).order_by(AliasEvent.id)
            ).all()

    def directory(self, version: ModelVersion) -> Path:
        """Run directory of a version."""
        return self.folder / version.directory


def unknown_version(name: object) -> InputError:
    """The error for a version that does not exist."""
    remedy = "Name the alias 'champion' or the number of a version that is listed."
    return InputError(Fault("model", f"there is no model version '{name}'", remedy))


def _latest(session: Session) -> AliasEvent | None:
    events = select(AliasEvent).where(AliasEvent.alias == CHAMPION)
    return session.scalars(events.order_by(AliasEvent.id.desc()).limit(1)).first()


def _move(session: Session, version: int, who: str, why: str, audit: str | None) -> AliasEvent:
    if session.get(ModelVersion, version) is None:
        raise unknown_version(version)
    latest = _latest(session)
    if latest is not None and latest.version_id == version:
        return latest
    event = AliasEvent(
        alias=CHAMPION,
        version_id=version,
        previous_id=latest.version_id if latest else None,
        who=who,
        why=why,
        audit=audit,
    )
    session.add(event)
    session.flush()
    return event
