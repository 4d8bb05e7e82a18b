"""Runs the migrations on the connection that ``service.storage.database`` hands over."""

from alembic import context

from service.storage.tables import Table


def run() -> None:
    """Migrate inside the transaction that is open already."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection, target_metadata=Table.metadata, render_as_batch=True
    )
    context.run_migrations()


# Alembic runs this file under this name; any other import only reads the definitions.
if __name__ == "env_py":
    run()
