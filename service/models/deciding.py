"""Who decides, and why: what every move of an alias records."""

from fastapi import Request
from pydantic import BaseModel, Field

from evaluation.errors import Fault, InputError
from service.security.access import ANYBODY, asking


class Decision(BaseModel, extra="forbid"):
    """A decision that is recorded for good."""

    why: str = Field(min_length=1, max_length=2000, description="The reason, as a sentence.")
    who: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Who decides, where the service is open. Otherwise it is whoever's key or "
        "token the request carries.",
    )


def decider(request: Request, decision: Decision) -> str:
    """The name to record.

    Raises:
        InputError: An open service was told no name, or another one a name.
    """
    principal = asking(request)
    if principal == ANYBODY:
        if decision.who is None:
            remedy = "An open service does not know you: name yourself."
            raise InputError(Fault("body", "'who' is missing", remedy, column="who"))
        return decision.who
    if decision.who is not None and decision.who != principal.name:
        found = "'who' is not the name of your key or token"
        remedy = f"Leave it out: '{principal.name}' is recorded."
        raise InputError(Fault("body", found, remedy, column="who"))
    return principal.name
