"""Commands for keys: create, list, revoke."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from service.private import private

if TYPE_CHECKING:
    from service.security.keys import Keys

keys = typer.Typer(help="Keys that requests carry.", callback=private, no_args_is_help=True)


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="Who will hold the key.")],
    role: Annotated[str, typer.Option(help="viewer, auditor, trainer or admin.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="Only this of what the role may do; repeatable.")
    ] = None,
    expires: Annotated[str, typer.Option(help="Days it is good for, or 'never'.")] = "90d",
) -> None:
    """Make a key and print it, this once: what is stored cannot tell it again."""
    with _keys() as known:
        row, key = known.create(name, role, scope or (), expires)
    until = f"until {row.expires:%Y-%m-%d %H:%M} UTC" if row.expires else "for ever"
    # Beside the key, which alone goes to standard output, ready for a variable of a shell.
    typer.echo(f"key {row.id} of {row.name}: {', '.join(row.scopes)}; good {until}", err=True)
    typer.echo(key)


@keys.command("list")
def list_keys() -> None:
    """List the keys, the newest first, without their secrets."""
    from service.protocol.pages import Window

    with _keys() as known:
        window = Window(limit=100, after=None)
        while rows := known.list(window):
            shown = rows[: window.limit]
            for row in shown:
                ends = f"{row.expires:%Y-%m-%d}" if row.expires else "never"
                state = "revoked" if row.revoked else f"expires {ends}"
                typer.echo(f"{row.id}\t{row.role}\t{','.join(row.scopes)}\t{state}\t{row.name}")
            if len(rows) == len(shown):
                break
            place = [shown[-1].created.isoformat(), shown[-1].id]
            window = Window(limit=100, after=place)


@keys.command()
def revoke(key: Annotated[str, typer.Argument(help="Id of the key, as listed.")]) -> None:
    """Take a key back. Running services stop taking it within five seconds."""
    from evaluation.errors import Fault, InputError

    with _keys() as known:
        if not known.revoke(key):
            remedy = "'evenscan keys list' lists what there is."
            raise InputError(Fault("key", f"there is no key {key!r:.40}", remedy))
    typer.echo(f"{key} is revoked")


@contextmanager
def _keys() -> "Iterator[Keys]":
    from service.security.keys import Keys
    from service.settings import ServiceSettings
    from service.storage.database import Database

    database = Database.opened(ServiceSettings.read().database)
    try:
        yield Keys(database)
    finally:
        database.close()
