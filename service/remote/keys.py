"""Commands about the keys of a service."""

from typing import Annotated

import typer

from service.remote.asked import asked, lines

keys = typer.Typer(help="Keys of the service.", no_args_is_help=True)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="Who will hold the key.")],
    role: Annotated[str, typer.Option(help="viewer, auditor, trainer or admin.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="Only this of what the role may do; repeatable.")
    ] = None,
    expires: Annotated[str, typer.Option(help="Days it is good for, or 'never'.")] = "90d",
) -> None:
    """Make a key and print it, this once."""
    with asked() as client:
        made = client.create_key(name, role, scope or (), expires)
    until = f"until {made.expires:%Y-%m-%d %H:%M} UTC" if made.expires else "for ever"
    # Beside the key, which alone goes to standard output, ready for a variable of a shell.
    scopes = ", ".join(made.scopes)
    typer.echo(f"key {made.id} of {made.name}: {scopes}; good {until}", err=True)
    typer.echo(made.key)


@keys.command("list")
def list_keys() -> None:
    """List the keys, the newest first, without their secrets."""
    with asked() as client:
        found = client.keys()
        for k in found:
            lines([(k.id, k.role, ",".join(k.scopes), k.revoked or k.expires, k.name)])


@keys.command()
def revoke(key: Annotated[str, typer.Argument(help="Id of the key.")]) -> None:
    """Take a key back."""
    with asked() as client:
        client.revoke_key(key)
    typer.echo(f"{key} is revoked")
