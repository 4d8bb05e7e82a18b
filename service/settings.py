"""How the service is configured: environment variables that begin with EVENSCAN_."""

import os
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from evaluation.errors import Fault, InputError
from evaluation.policy import shipped
from evaluation.settings import faults_of

PREFIX = "EVENSCAN_"

#: Variables with the prefix that other packages read.
FOREIGN = frozenset({"EVENSCAN_DATA", "EVENSCAN_CACHE"})


class ServiceSettings(BaseSettings):
    """Settings of the API and of the worker; both read the same.

    Attributes:
        home: Folder that holds everything the service keeps: the database, model versions,
            audits, uploads and running jobs. API and worker share it.
        database_url: SQLAlchemy address of a SQLite file. Default: ``evenscan.db`` in ``home``.
        host: Address to listen on. Other than loopback only with an ``api_key``.
        port: Port to listen on; 0 takes a free one.
        api_key: Key that every request has to carry, but for health and documentation. Not
            set: the service is open, and refuses to listen on anything but loopback.
        cohorts: Folder of the cohort TOML files that a retrain request may name.
        policy: Name or file of the gate's policy for retrain requests that carry none.
        max_body_bytes: Largest request body, in bytes; 64 MiB by default.
        max_images: Most images in one request.
        models_in_memory: How many model versions stay loaded; the least recently used one goes
            first.
        executor: Name of the worker to the job store. A worker that comes back under the same
            name takes up what it left behind.
        check_seconds: How long a request for a job waits for the worker to check it.
        poll_seconds: How often the worker looks for new jobs, and the API for an answer.
        progress_seconds: Shortest time between two writes of a job's progress.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    home: Path = Path(".evenscan")
    database_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    api_key: SecretStr | None = Field(default=None, min_length=16)
    cohorts: Path = Path("cohorts")
    policy: Path | None = None
    max_body_bytes: int = Field(default=64 * 2**20, ge=1)
    max_images: int = Field(default=64, ge=1)
    models_in_memory: int = Field(default=4, ge=1)
    executor: str = Field(default="worker-1", min_length=1)
    check_seconds: float = Field(default=30, gt=0)
    poll_seconds: float = Field(default=0.2, gt=0)
    progress_seconds: float = Field(default=0.5, ge=0)

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings of the environment, with what is given in its place.

        Raises:
            InputError: A variable or a key is unknown, or a value does not fit; one fault each.
        """
        faults = list(_unknown_variables(cls))
        try:
            settings = cls(**given)
        except ValidationError as error:
            faults += faults_of(error, "service settings", cls)
        if faults:
            raise InputError(*faults)
        return settings

    @field_validator("home", "cohorts", "policy")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Paths do not change their meaning with the working directory of a process."""
        return path.absolute() if path and str(path) not in shipped() else path

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.database_url and not self.database_url.startswith("sqlite:///"):
            raise ValueError(
                "database_url must begin with sqlite:///; other databases come later"
            )
        if self.api_key is None and not is_loopback(self.host):
            raise ValueError(
                f"without an api_key the service listens on loopback only, not on {self.host}; "
                f"set {PREFIX}API_KEY"
            )
        return self

    @property
    def database(self) -> str:
        """Address of the database, also of the job store."""
        return self.database_url or f"sqlite:///{self.home / 'evenscan.db'}"

    @property
    def open(self) -> bool:
        """Whether requests need no key."""
        return self.api_key is None

    def environment(self) -> dict[str, str]:
        """Variables that give another process these settings."""
        values = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None:
                values[f"{PREFIX}{name.upper()}"] = str(value)
        return values


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unknown_variables(model: type[ServiceSettings]) -> list[Fault]:
    known = {f"{PREFIX}{name.upper()}" for name in model.model_fields} | FOREIGN
    faults = []
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            remedy = f"Did you mean '{near[0]}'?" if near else "Remove it."
            faults.append(Fault("environment", f"unknown variable '{name}'", remedy))
    return faults
