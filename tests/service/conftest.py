"""A trained model, a service with it, and a worker, all of them real and small."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from servers import (  # noqa: F401  fixtures
    bucket,
    database,
    database_url,
    postgresql,
    postgresql_url,
    s3,
)
from service_samples import COHORTS, HERE, Running, promoted, tiny

from service.app import create_app
from service.jobs.worker import working
from service.models.registry import ModelRegistry
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import LocalStore
from training.config import RunConfig
from training.run import execute


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on how the developer's own service is configured."""
    for name in [name for name in os.environ if name.startswith("EVENSCAN_")]:
        if name != "EVENSCAN_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache of decoded cohorts for all tests of the service."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENSCAN_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Directory of a run that was really trained, for one epoch."""
    directory = tmp_path_factory.mktemp("runs") / "tiny-erm-1"
    return execute(RunConfig.parse(tiny(), "test"), directory).directory


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    """Settings of a service without a key in an empty home."""
    return ServiceSettings.read(
        home=tmp_path, cohorts=COHORTS, poll_seconds=0.05, check_seconds=0.3, open=True
    )


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ModelRegistry]:
    """A registry without versions."""
    opened = Database.opened(f"sqlite:///{tmp_path / 'test.db'}")
    yield ModelRegistry(opened, LocalStore(tmp_path), tmp_path / "models")
    opened.close()


@pytest.fixture
def empty(settings: ServiceSettings) -> Iterator[Running]:
    """A service without models and without a worker."""
    app = create_app(settings)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield Running(client, settings, app.state.services)


@pytest.fixture(scope="session")
def served(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with a champion, without a worker; for tests that only ask."""
    home = tmp_path_factory.mktemp("served")
    settings = ServiceSettings.read(home=home, cohorts=COHORTS, max_images=3, open=True)
    app = create_app(settings)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        promoted(app.state.services.registry, trained)
        yield Running(client, settings, app.state.services)


@pytest.fixture(scope="module")
def worked(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with a worker in this process, which can hold one only; at first no models."""
    home = tmp_path_factory.mktemp("worked")
    settings = ServiceSettings.read(
        home=home, cohorts=COHORTS, poll_seconds=0.05, open=True, webhook_hosts="127.0.0.1"
    )
    app = create_app(settings)
    with (
        working(settings),
        TestClient(app, base_url=HERE, raise_server_exceptions=False) as client,
    ):
        yield Running(client, settings, app.state.services)
