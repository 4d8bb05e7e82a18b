"""Steps that bring the database's schema from one version to the next, and back."""

from typing import Final

#: The last step: the schema that this code was written for.
HEAD: Final = "0002"
