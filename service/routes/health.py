"""Whether the service is alive, and whether it can answer."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from service.registry import CHAMPION
from service.services import Parts, Services

router = APIRouter(prefix="/health", tags=["health"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """What was checked."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str] = Field(description="'ok', or what is wrong, by check.")


@router.get("/live")
async def live() -> Live:
    """Whether the process answers. Touches nothing."""
    return Live()


@router.get("/ready", responses={503: {"model": Ready, "description": "Not ready"}})
def ready(parts: Parts, response: Response) -> Ready:
    """Whether the database answers, has the newest schema, and the champion can be loaded."""
    checks = {
        "database": _checked(parts.database.ping),
        "migrations": _checked(lambda: _migrated(parts)),
        "champion": _checked(lambda: _champion(parts)),
    }
    healthy = all(result == "ok" for result in checks.values())
    response.status_code = 200 if healthy else 503
    return Ready(status="ready" if healthy else "not ready", checks=checks)


def _checked(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001  whatever it is, the service is not ready
        # The text of an error may hold paths; its kind is enough for a probe.
        return f"failed with {type(error).__name__}"
    return "ok"


def _migrated(parts: Services) -> None:
    if not parts.database.at_head():
        raise RuntimeError("the schema is not the newest")


def _champion(parts: Services) -> None:
    if parts.registry.champion() is not None:
        parts.runtime.model(CHAMPION)
