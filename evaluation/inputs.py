"""What went into an audit, by hash."""

import hashlib

from evaluation.settings import Settings


class Input(Settings):
    """One thing that an audit rests on.

    Attributes:
        what: Its role, such as ``predictions`` or ``policy``.
        name: Its name.
        sha256: SHA-256, hexadecimal; of settings, that of their JSON without spaces and with
            every default written out.
    """

    what: str
    name: str
    sha256: str

    @classmethod
    def of_settings(cls, what: str, name: str, settings: Settings) -> "Input":
        """Describe some settings."""
        digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()
        return cls(what=what, name=name, sha256=digest)
