"""Taking up what workers have left behind that died, were stopped, or could not go on."""

import logging
from collections.abc import Sequence
from time import monotonic
from typing import Final

from dbos import DBOS, WorkflowStatus
from dbos._dbos import _get_dbos_instance
from dbos._utils import INTERNAL_QUEUE_NAME

from service.jobs.queue import WORKFLOWS
from service.jobs.roll import Roll

logger = logging.getLogger(__name__)

#: Work of this worker that nothing here is at is begun anew after so many seconds: between its
#: begin in the store and its thread there are moments.
LEFT_ALONE: Final = 10.0


class Takeover:
    """What one worker does so that no work is left lying.

    Several workers may do so at once. The job store moves a job only while it belongs to the
    worker that is gone, and whoever begins it then owns it, so none is begun twice.
    """

    def __init__(self, roll: Roll) -> None:
        """Look round for one worker."""
        self.roll = roll
        self._idle: dict[str, float] = {}

    def look(self) -> None:
        """Put work that nobody does any more back into its queue."""
        # In this order: a worker enters the roll before it begins its first job.
        begun = DBOS.list_workflows(
            status="PENDING", app_version=WORKFLOWS, load_input=False, load_output=False
        )
        self.roll.strike()
        gone = {each.executor_id for each in begun if each.executor_id}
        gone -= set(self.roll.living())
        for executor in sorted(gone):
            logger.warning("taking up what worker %s has left", executor.partition("/")[0])
            # The public resume_workflow would do it too, but it would also begin anew to count
            # how often a job has brought its worker down, and take a job from whoever runs it
            # by now.
            DBOS._recover_pending_workflows([executor])
        self._begin_anew(begun)

    def _begin_anew(self, begun: Sequence[WorkflowStatus]) -> None:
        """Put back what this worker has begun and could not record, such as on a full disk."""
        store = _get_dbos_instance()
        active = set(store._active_workflows_set.activeList())
        own = {each.workflow_id for each in begun if each.executor_id == self.roll.id} - active
        self._idle = {each: self._idle.get(each, monotonic()) for each in own}
        for workflow, since in tuple(self._idle.items()):
            if monotonic() - since >= LEFT_ALONE:
                logger.warning("work %s broke off; it is begun anew", workflow)
                store._sys_db.reenqueue_for_recovery(
                    workflow, [self.roll.id], INTERNAL_QUEUE_NAME
                )
                del self._idle[workflow]
