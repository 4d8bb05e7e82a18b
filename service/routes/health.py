"""Whether the service is alive, has started, and can answer. Anybody may ask."""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from service.health.readiness import OK
from service.services import Parts

router = APIRouter(prefix="/health", tags=["health"])

CHECKS = {"database": "ok", "migrations": "ok", "champion": "ok", "queue": "ok", "store": "ok"}


class Live(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """What was checked."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str] = Field(
        description="'ok', or what is wrong, by check.",
        examples=[CHECKS | {"access log": "ok"}],
    )


UNREADY: dict[int | str, dict[str, Any]] = {
    503: {
        "model": Ready,
        "description": "Not ready",
        "content": {
            "application/json": {
                "example": {
                    "status": "not ready",
                    "checks": CHECKS | {"database": "failed with OperationalError"},
                }
            }
        },
    }
}


@router.get("/live")
async def live() -> Live:
    """Whether the process answers. Touches nothing."""
    return Live()


@router.get("/ready", responses=UNREADY)
def ready(parts: Parts, response: Response) -> Ready:
    """Whether requests should be sent here.

    They should if the database answers and has the newest schema, the champion is loaded, the
    queue has room, the store can be reached, the access log can be written, and the service is
    not about to stop. What was found is at most a second old, unless it is looked at right now.
    """
    return _answer(parts.readiness.found(), response)


@router.get("/startup", responses=UNREADY)
def startup(parts: Parts, response: Response) -> Ready:
    """Whether the service has started: it has once loaded the champion, if there is one."""
    return _answer(parts.readiness.started(), response)


def _answer(checks: dict[str, str], response: Response) -> Ready:
    healthy = all(found == OK for found in checks.values())
    response.status_code = 200 if healthy else 503
    return Ready(status="ready" if healthy else "not ready", checks=checks)
