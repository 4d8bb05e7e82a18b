"""The pseudonyms of a data set: keyed hashes in place of who it is."""

import hashlib
import hmac
from dataclasses import replace

from training.cohort import Cohort, CohortSchema


class Identities:
    """The pseudonyms of a data set. Who lacks the secret can neither make nor undo them."""

    def __init__(self, secret: bytes, schema: CohortSchema) -> None:
        """Use a secret for a data set. The same person has another pseudonym in another one."""
        self.secret, self.schema = secret, schema

    def pseudonym(self, kind: str, identifier: str) -> str:
        """32 hexadecimal digits of HMAC-SHA-256: the same for the same identifier."""
        text = "\0".join((kind, self.schema.name, identifier))
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()[:32]

    def uid(self, identifier: str) -> str:
        """A unique identifier of DICOM in place of another: the same within a data set."""
        return f"2.25.{int(self.pseudonym('uid', identifier), 16)}"

    def hidden(self, cohort: Cohort) -> Cohort:
        """The cohort with hashed patients.

        Samples keep their names, unless one of them is made of its patient's: then all are
        hashed.
        """
        table = cohort.table.copy()
        pairs = zip(table.index, table["patient"], strict=True)
        telling = any(patient.casefold() in str(sample).casefold() for sample, patient in pairs)
        if telling:
            table.index = table.index.map(lambda name: self.pseudonym("sample", name))
            table.index.name = "sample"
        names = {name: self.pseudonym("patient", name) for name in table["patient"].unique()}
        table["patient"] = table["patient"].map(names)
        return replace(cohort, table=table)
