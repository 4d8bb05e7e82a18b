"""Options that several commands have, and what is read of them."""

from pathlib import Path
from typing import Annotated, Any

import typer

Watch = Annotated[bool, typer.Option("--watch", help="Wait for its end, and show it.")]
Policy = Annotated[Path | None, typer.Option(help="TOML file of the policy.")]
PolicyName = Annotated[str | None, typer.Option(help="Name of the policy.")]
Pdf = Annotated[bool, typer.Option("--pdf", help="Print the report to PDF too.")]
Version = Annotated[str, typer.Argument(help="Number of a version, or an alias.")]


def toml_of(file: Path | None) -> dict[str, Any] | None:
    """What a TOML file says; None without one.

    Raises:
        InputError: It cannot be read.
    """
    from evaluation.settings import read_toml

    return None if file is None else read_toml(file)


def given(**values: Any) -> dict[str, Any]:
    """What was given, and does not stand at None or False.

    >>> given(pdf=False, policy_name="screening")
    {'policy_name': 'screening'}
    """
    return {k: v for k, v in values.items() if v is not None and v is not False}
