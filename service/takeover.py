"""Taking up what workers have left behind that died or were stopped."""

import logging

from dbos import DBOS

from service.queue import WORKFLOWS
from service.roll import Roll

logger = logging.getLogger(__name__)


def take_up(roll: Roll) -> None:
    """Put the jobs of workers that are gone back into their queues.

    Several workers may do so at once. The job store moves a job only while it belongs to the
    worker that is gone, and whoever begins it then owns it, so none is begun twice.
    """
    # In this order: a worker enters the roll before it begins its first job.
    begun = DBOS.list_workflows(
        status="PENDING", app_version=WORKFLOWS, load_input=False, load_output=False
    )
    roll.strike()
    gone = {each.executor_id for each in begun if each.executor_id} - set(roll.living())
    for executor in sorted(gone):
        logger.warning("taking up what worker %s has left", executor.partition("/")[0])
        # The public resume_workflow would do it too, but it would also begin anew to count how
        # often a job has brought its worker down, and take a job from whoever runs it by now.
        DBOS._recover_pending_workflows([executor])
