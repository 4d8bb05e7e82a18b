"""Runs the steps of ``service.migrations``. Alembic takes long to load and is seldom needed."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def up(connection: Connection, revision: str) -> None:
    """Migrate up to a revision, in the transaction of a connection."""
    command.upgrade(_configuration(connection), revision)


def down(connection: Connection, revision: str) -> None:
    """Migrate down to a revision, likewise; ``base`` removes everything."""
    command.downgrade(_configuration(connection), revision)


def _configuration(connection: Connection) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", "service:migrations")
    configuration.attributes["connection"] = connection
    return configuration
