"""Tables whose rows are added and never changed, kept so by the database itself."""

from alembic import op


def keep(table: str, what: str) -> None:
    """Refuse every change and removal of a row.

    Args:
        table: The table.
        what: Its rows, for the error.
    """
    text = f"{what} are added, never changed"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION {table}_keep() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{text}'; END $$"
        )
        for change, each in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
            name = f"{table}_keep_{'truncate' if each == 'STATEMENT' else 'rows'}"
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {change} ON {table} "
                f"FOR EACH {each} EXECUTE FUNCTION {table}_keep()"
            )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_keep_{change.lower()} BEFORE {change} "
            f"ON {table} BEGIN SELECT RAISE(ABORT, '{text}'); END"
        )


def release(table: str) -> None:
    """Remove what :func:`keep` has made and the table's own removal would leave behind."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION {table}_keep() CASCADE")
