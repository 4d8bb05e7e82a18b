"""What went into an audit, by hash."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from evaluation.audit import Audit
from evaluation.settings import Settings


class Input(NamedTuple):
    """One thing that an audit rests on.

    Attributes:
        what: Its role.
        name: Its name.
        sha256: SHA-256, hexadecimal; of settings, that of their JSON without spaces and with
            every default written out.
    """

    what: str
    name: str
    sha256: str


def inputs(audit: Audit) -> Iterator[Input]:
    """The predictions, the policy if there is one, and the settings."""
    yield Input("predictions", audit.source, audit.digest)
    if audit.policy is not None:
        yield Input("policy", audit.policy.name, _digest(audit.policy))
    yield Input("settings", "spec", _digest(audit.spec))


def _digest(settings: Settings) -> str:
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()
