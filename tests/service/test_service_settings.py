"""The environment configures the service, and says so when it does not fit."""

import pytest

from evaluation.errors import InputError
from service.settings import ServiceSettings


def test_defaults_are_open_on_loopback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ServiceSettings.read()
    assert (settings.host, settings.port, settings.open) == ("127.0.0.1", 8000, True)
    assert settings.database == f"sqlite:///{tmp_path}/.evenscan/evenscan.db"


def test_variables_are_read(monkeypatch):
    monkeypatch.setenv("EVENSCAN_PORT", "9000")
    assert ServiceSettings.read().port == 9000


def test_every_fault_is_listed(monkeypatch):
    monkeypatch.setenv("EVENSCAN_HOEM", "/tmp")
    monkeypatch.setenv("EVENSCAN_PORT", "70000")
    with pytest.raises(InputError) as caught:
        ServiceSettings.read(max_images=0)
    text = str(caught.value)
    assert "Did you mean 'EVENSCAN_HOME'?" in text
    assert "'port' is '70000'" in text
    assert "'max_images' is 0" in text


def test_another_process_gets_the_same(tmp_path, monkeypatch):
    settings = ServiceSettings.read(home=tmp_path, api_key="0123456789abcdef", port=0)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert ServiceSettings.read() == settings


def test_other_databases_are_refused():
    with pytest.raises(InputError, match="sqlite"):
        ServiceSettings.read(database_url="postgresql://localhost/evenscan")
