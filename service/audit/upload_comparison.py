"""Two files of predictions that were uploaded, compared on the same rows."""

from collections.abc import Sequence

from evaluation.audit import audit
from evaluation.compare import Champion
from evaluation.errors import Fault, InputError
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.threshold import choose_thresholds
from service.audit.audits import UploadedAudit, keep, outcome, telling
from service.audit.same_rows import check_same
from service.jobs.workflow import Found, Step, Workflow
from service.storage.store import Store


class UploadedComparison(UploadedAudit):
    """A comparison of two predictions files that were uploaded.

    Attributes:
        champion: The file of the model that is compared with.
        champion_name: What its sender calls it.
        champion_digest: SHA-256 of it.
    """

    champion: str
    champion_name: str
    champion_digest: str = ""

    def pair(self, store: Store) -> tuple[Predictions, AuditSpec, Policy | None, Champion]:
        """What to audit and to compare with, all of it checked.

        Raises:
            InputError: A table or the policy does not fit, or the rows differ; every fault is
                there.
        """
        faults: list[Fault] = []
        request = self.request()
        try:
            rows, spec, policy = self.read(store)
        except InputError as error:
            faults += error.faults
        try:
            theirs = self.table(store, self.champion, self.champion_name, request)
        except InputError as error:
            faults += error.faults
        if faults:
            raise InputError(*faults)
        check_same(rows, theirs)
        thresholds = choose_thresholds(theirs, spec)
        return rows, spec, policy, Champion(theirs.source, theirs, thresholds)


class ComparingUploads(Workflow):
    """A comparison of two predictions files."""

    def check(self) -> None:
        """Read both tables and the policy.

        Raises:
            InputError: See :meth:`UploadedComparison.pair`.
        """
        self._asked().pair(self.task.place.store)

    def steps(self) -> Sequence[Step]:
        """Audit, and nothing else."""
        return [Step("audit", self.audit)]

    def audit(self, found: Found) -> Found:
        """Audit the challenger against the champion, and keep the report."""
        asked, task = self._asked(), self.task
        rows, spec, policy, champion = asked.pair(task.place.store)
        made = audit(rows, spec, policy, champion=champion, on_progress=telling(self))
        keep(task.place, task.id, made, rows, against=champion.name, pdf=asked.pdf)
        return outcome(task.id, made)

    def _asked(self) -> UploadedComparison:
        return UploadedComparison.parse(self.task.request, "body")
