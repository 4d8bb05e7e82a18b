"""A new home is for its user only."""

import stat

from service.layout import Layout
from service.settings import ServiceSettings
from service.storage.database import Database


def test_nobody_else_looks_into_a_new_home(tmp_path):
    for name, make in (
        ("layout", Layout),
        ("database", lambda settings: Database.opened(settings.database).close()),
    ):
        settings = ServiceSettings.read(home=tmp_path / name)
        make(settings)
        assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
