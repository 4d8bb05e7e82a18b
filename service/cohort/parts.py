"""The files of an upload, under names that cannot be those of patients."""

from typing import Any, Final

from pydantic import Field

from evaluation.settings import Settings

#: How the names of tables may end, and what of that says how to read them.
TABLES: Final = (".csv.gz", ".tsv", ".xlsx", ".csv")


class Part(Settings):
    """A file of an upload.

    Attributes:
        file: Its name in the folder of the upload.
        name: What it is called in messages: the name that the schema has for a table, or else
            what it is.
        size: In bytes.
    """

    file: str = Field(pattern=r"^part-[0-9]+$")
    name: str
    size: int = 0


def name_of_table(sent: str, cohort: dict[str, Any]) -> str:
    """What a table is called from here on: by its own name only if the schema has it too.

    Args:
        sent: The name that its sender gave, maybe with folders.
        cohort: The cohort's file, as read from its TOML.

    >>> cohort = {"source": {"manifest": "tables/eyes.csv"}}
    >>> name_of_table("C:/eyes.csv", cohort), name_of_table("Jane Doe.XLSX", cohort)
    ('eyes.csv', 'table.xlsx')
    """
    name = _last(sent.replace("\\", "/"))
    known = {_last(text) for text in _texts(cohort.get("source"))}
    return name if name in known else f"table{ending_of(name)}"


def ending_of(name: str) -> str:
    """How the name of a table ends; what is of no known kind is read as CSV."""
    return next((each for each in TABLES if name.lower().endswith(each)), ".csv")


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _texts(value: Any) -> set[str]:
    """Every text in a value of a TOML file."""
    if isinstance(value, dict):
        return set().union(*map(_texts, value.values()))
    if isinstance(value, list):
        return set().union(*map(_texts, value))
    return {value} if isinstance(value, str) else set()
