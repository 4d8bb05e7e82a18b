"""Whether anything has been committed, told without asking for it."""

from sqlalchemy import text

from service.storage.changes import Changes
from service.storage.database import Database


def test_only_commits_count(tmp_path):
    database = Database.opened(f"sqlite:///{tmp_path / 'test.db'}")
    changes = Changes(database)
    before = changes.mark()
    assert before is not None
    with database.read() as session:
        session.execute(text("SELECT 1"))
    assert changes.mark() == before
    with database.write() as session:
        session.execute(text("CREATE TABLE more (id INTEGER)"))
        assert changes.mark() == before
    assert changes.mark() != before
    changes.close()
    database.close()


def test_nothing_is_told_of_a_file_that_is_not_there_nor_is_one_made(tmp_path):
    changes = Changes(Database(f"sqlite:///{tmp_path / 'none.db'}"))
    assert changes.mark() is None
    assert not (tmp_path / "none.db").exists()


def test_nothing_is_told_of_a_server():
    assert Changes(Database("postgresql+psycopg://nobody@localhost/none")).mark() is None
