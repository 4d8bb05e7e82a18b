"""The environment configures the service, and says so when it does not fit."""

import pytest

from evaluation.errors import InputError
from service.settings import ServiceSettings


def test_defaults_ask_for_a_key_on_loopback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ServiceSettings.read()
    assert (settings.host, settings.port, settings.open) == ("127.0.0.1", 8000, False)
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
    settings = ServiceSettings.read(
        home=tmp_path, secret="0123456789abcdef" * 2, open=True, port=0
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert ServiceSettings.read() == settings


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"database_url": "mysql://localhost/evenscan"}, r"sqlite:///.*postgresql\+psycopg://"),
        ({"store_url": "https://bucket"}, "s3://"),
        ({"open": True, "host": "0.0.0.0"}, "listens on loopback only, not on 0.0.0.0"),
        ({"oidc_issuer": "https://id.example.org"}, "belong together"),
        ({"takeover_seconds": 10.0}, "at least three times"),
        ({"max_body_bytes": 2**30}, "max_buffered_bytes must be at least max_body_bytes"),
    ],
)
def test_what_does_not_go_together_is_refused(given, found):
    with pytest.raises(InputError, match=found):
        ServiceSettings.read(**given)
