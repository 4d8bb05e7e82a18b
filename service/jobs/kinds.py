"""The kinds of jobs there are.

A new kind is one file with a class derived from :class:`service.jobs.workflow.Workflow`, which
says its steps, and one line here. A request for a job of that kind is handed over with
``service.jobs.submissions.submit(parts, job, KIND, request, response)``; listing, logs, events,
cancelling, trying again, recovery and the webhook at the end come for free.
"""

from dataclasses import dataclass
from typing import Final

from service.security.access import Scope


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    Attributes:
        workflow: ``module:class`` of its workflow. Only a worker loads it: its libraries are
            too large for the API.
        scope: What asking for such a job, cancelling it and trying it again needs.
    """

    workflow: str
    scope: Scope


KINDS: Final = {
    "audit": Kind("service.audit.audits:Auditing", "audit"),
    "model_audit": Kind("service.audit.model:AuditingModel", "audit"),
    "comparison": Kind("service.audit.comparison:Comparing", "audit"),
    "upload_comparison": Kind("service.audit.upload_comparison:ComparingUploads", "audit"),
    "ingest": Kind("service.cohort.ingest:Ingestion", "train"),
    "retrain": Kind("service.jobs.retrain:Retraining", "train"),
}
