"""Retraining behind the fairness gate."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from evaluation.errors import Fault, InputError, unknown_name
from evaluation.settings import read_toml
from service.jobs.queue import new_id
from service.jobs.submissions import Accepted, submit
from service.protocol.errors import documented
from service.protocol.storable import storable
from service.security.access import asking, needs
from service.services import Parts, takes
from service.settings import ServiceSettings
from training.methods import METHOD_NAMES

router = APIRouter(prefix="/v1/retrain", tags=["retrain"], dependencies=[needs("train")])

EXAMPLE = {"cohort": "phantom", "method": {"name": "clear_vae"}, "size": 28, "seed": 0}


@router.post(
    "",
    status_code=202,
    responses=documented(400, 415, 422, 503),
    dependencies=[takes("application/json")],
)
def request_retrain(
    parts: Parts,
    request: Request,
    response: Response,
    body: Annotated[
        dict[str, Any],
        Body(
            description="A training configuration. Instead of 'cohort', 'cohorts' names those "
            "that the service holds, by id; or 'cohort' is the name of one that it knows. The "
            "method may be a name alone, and the policy the name of one that comes with the "
            "program. 'promotion' is 'automatic' or 'hold', 'approver' the name of who has to "
            "approve what is held, 'pdf' whether the report is printed too, 'webhook' an "
            "address that is told of the end.",
            examples=[EXAMPLE],
        ),
    ],
) -> Accepted:
    """Train a challenger, audit it, compare it with the champion, and promote or hold it.

    The configuration is checked completely before the answer.
    """
    wanted, webhook = expand(body, parts.settings), body.get("webhook")
    who = asking(request).name
    if not isinstance(webhook, str):
        webhook = None  # the worker's check says what should be there
    return submit(parts, new_id(request), "retrain", wanted, response, who=who, webhook=webhook)


def expand(body: dict[str, Any], settings: ServiceSettings) -> dict[str, Any]:
    """The configuration with the cohort's file in place of its name.

    Raises:
        InputError: No cohort or method has the name, or it holds what no store can keep.
    """
    request = dict(storable(body, "body"))
    if isinstance(method := request.get("method"), str):
        request["method"] = {"name": method}
    elif not isinstance(method, dict) or not isinstance(method.get("name"), str):
        remedy = f"Available: {', '.join(METHOD_NAMES.names())}."
        raise InputError(Fault("body", "no method is named", remedy, column="method"))
    METHOD_NAMES.check(request["method"]["name"], "body, method")
    if isinstance(cohort := request.get("cohort"), str):
        files = {path.stem: path for path in settings.cohorts.glob("*.toml")}
        if cohort not in files:
            raise unknown_name("cohort", cohort, files, "body, cohort")
        request["cohort"] = storable(read_toml(files[cohort]), f"cohort {cohort}")
    return request
