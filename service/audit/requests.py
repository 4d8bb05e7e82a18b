"""What an audit of a model, or a comparison of two, is asked with: the JSON of its request."""

from typing import Any, Literal, Self

import orjson
from pydantic import Field
from starlette.exceptions import HTTPException

from evaluation.errors import Fault, InputError
from evaluation.settings import Settings
from service.protocol.storable import storable


class CohortAudit(Settings):
    """What both have in common.

    Attributes:
        rows: ``unseen``: patients that no model of it has learnt from or was chosen on.
            ``all``: every patient; what is found is too good then, and never a PASS.
        audit: Overrides of the settings that the model's own audit was made with.
        policy: The policy, as an object.
        policy_name: Instead of it, the name of one that comes with the program.
        pdf: Whether to print the report to PDF too.
    """

    rows: Literal["unseen", "all"] = "unseen"
    audit: dict[str, Any] = Field(default_factory=dict)
    policy: dict[str, Any] | None = None
    policy_name: str | None = None
    pdf: bool = False

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a request's body.

        Raises:
            HTTPException: 400, it is not JSON.
            InputError: It does not fit.
        """
        try:
            values = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise HTTPException(400, "The body is not JSON.") from None
        if not isinstance(values, dict):
            raise InputError(Fault("body", "it is no object", "Send a JSON object."))
        asked = cls.parse(storable(values, "body"), "body")
        if asked.policy is not None and asked.policy_name is not None:
            raise two_policies()
        return asked


class ModelAudit(CohortAudit):
    """An audit of a model on a cohort.

    Attributes:
        model: Alias or number of a version.
        cohort: Id of a cohort that the service holds.
    """

    model: int | str
    cohort: str


class Comparison(CohortAudit):
    """A comparison of two models on a cohort, or of the predictions of two audits.

    Attributes:
        challenger: Alias or number of a version, or id of an audit.
        champion: Likewise; what it is compared with.
        cohort: Id of a cohort, for two versions.
    """

    challenger: int | str
    champion: int | str
    cohort: str | None = None


def two_policies() -> InputError:
    """The error for a policy that is given twice."""
    found = "a policy and a policy_name are given"
    return InputError(Fault("body", found, "Send one of them."))
