"""How the service is configured: environment variables that begin with EVENSCAN_."""

import os
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from evaluation.errors import Fault, InputError
from evaluation.policy import shipped
from evaluation.settings import faults_of

PREFIX = "EVENSCAN_"

#: Variables with the prefix that other packages read.
FOREIGN = frozenset({"EVENSCAN_DATA", "EVENSCAN_CACHE", "EVENSCAN_URL", "EVENSCAN_KEY"})

#: How the addresses of databases begin.
DATABASES: Final = ("sqlite:///", "postgresql+psycopg://")


class ServiceSettings(BaseSettings):
    """Settings of the API and of the worker; both read the same.

    Attributes:
        home: Folder that holds everything the service keeps: the database, model versions,
            audits, uploads and running jobs. API and worker share it.
        database_url: SQLAlchemy address, ``sqlite:///FILE`` or
            ``postgresql+psycopg://USER:PASSWORD@HOST/NAME``. Default: ``evenscan.db`` in
            ``home``.
        store_url: Where finished folders are kept, ``s3://BUCKET/PREFIX``; credentials and
            region come from the AWS_* variables. Default: in ``home``.
        store_endpoint: Address of a store that speaks S3 and is not Amazon's.
        host: Address to listen on. An open service listens on loopback only.
        port: Port to listen on; 0 takes a free one.
        processes: How many processes answer requests. Each has its own models in memory and its
            own queue of images, and counts rates for itself.
        drain_seconds: How long requests are still accepted after SIGTERM, while the probe for
            readiness says 503, so that a load balancer can turn to others first.
        open: Whether requests need no key. Off by default: everything but health and
            documentation is denied without one.
        oidc_issuer: Address of the OpenID provider whose bearer tokens are taken beside keys.
        oidc_audience: Whom its tokens must be made out to.
        oidc_roles: Claim that holds the role, or a list with it; dots go into objects.
        rate: Most requests of one key, such as ``1200/minute``, or several of them with
            semicolons; ``none``: no limit.
        cohorts: Folder of the cohort TOML files that a retrain request may name.
        folders: Folder below which cohorts may be registered in place; none: they may not.
        policy: Name or file of the gate's policy for retrain requests that carry none.
        max_body_bytes: Largest request body, in bytes; 64 MiB by default.
        max_buffered_bytes: Bytes that the bodies of all requests may have together in a
            process, 512 MiB by default; one beyond them is answered 503. Uploaded cohorts go to
            the disk as they come, and do not count.
        max_upload_bytes: Largest cohort that is uploaded, in bytes; 20 GiB by default.
        max_unpacked_bytes: Largest uploaded cohort once it is unpacked, in bytes.
        max_images: Most images in one request.
        max_waiting: Most images that wait for a model; a request beyond them is answered 503.
        models_in_memory: How many model versions stay loaded; the least recently used one goes
            first.
        body_seconds: How long a request may take to send its headers and the next piece of its
            body, before the connection is closed. After that long a body has to bring 16 KiB a
            second on average.
        secret: Key under which patient identifiers are hashed and webhooks are signed. Default:
            made at first use, in the file ``secret`` of ``home``.
        webhook_hosts: Hosts that a webhook may go to, with commas; none: no webhooks.
        keep_days: How long what a failed or cancelled job was given is kept for a retry.
        log: ``text``, or ``json`` for one object a line.
        executor: Name of the worker to the job store. A worker that comes back under the same
            name takes up what it left behind.
        heartbeat_seconds: How often a worker says that it lives.
        takeover_seconds: After how long a silence its jobs are given to another worker.
        check_seconds: How long a request for a job waits for the worker to check it.
        poll_seconds: How often the worker looks for new jobs, and the API for an answer.
        progress_seconds: Shortest time between two writes of a job's progress.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    home: Path = Path(".evenscan")
    database_url: str = ""
    store_url: str = ""
    store_endpoint: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    processes: int = Field(default=1, ge=1, le=256)
    drain_seconds: float = Field(default=0, ge=0)
    open: bool = False
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_roles: str = "roles"
    rate: str = "1200/minute"
    cohorts: Path = Path("cohorts")
    folders: Path | None = None
    policy: Path | None = None
    max_body_bytes: int = Field(default=64 * 2**20, ge=1)
    max_buffered_bytes: int = Field(default=512 * 2**20, ge=1)
    max_upload_bytes: int = Field(default=20 * 2**30, ge=1)
    max_unpacked_bytes: int = Field(default=100 * 2**30, ge=1)
    max_images: int = Field(default=64, ge=1)
    max_waiting: int = Field(default=256, ge=1)
    models_in_memory: int = Field(default=4, ge=1)
    body_seconds: float = Field(default=30, gt=0)
    secret: SecretStr | None = Field(default=None, min_length=32)
    webhook_hosts: str = ""
    keep_days: float = Field(default=7, ge=0)
    log: Literal["text", "json"] = "text"
    executor: str = Field(default="worker-1", min_length=1)
    heartbeat_seconds: float = Field(default=5, gt=0)
    takeover_seconds: float = Field(default=30, gt=0)
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

    @field_validator("rate")
    @classmethod
    def _rate(cls, rate: str) -> str:
        """A limit that cannot be read is told of at the start, not at the first request."""
        if rate not in ("", "none"):
            from limits import parse_many

            try:
                fits = all(each.amount for each in parse_many(rate))
            except ValueError:
                fits = False
            if not fits:
                raise ValueError("give how many per second, minute, hour or day, or none")
        return rate

    @field_validator("home", "cohorts", "folders", "policy")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Paths do not change their meaning with the working directory of a process."""
        return path.absolute() if path and str(path) not in shipped() else path

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.database_url and not self.database_url.startswith(DATABASES):
            raise ValueError(f"database_url must begin with {' or '.join(DATABASES)}")
        if self.store_url and not self.store_url.startswith("s3://"):
            raise ValueError("store_url must begin with s3://")
        if self.open and not is_loopback(self.host):
            raise ValueError(
                f"an open service listens on loopback only, not on {self.host}; unset "
                f"{PREFIX}OPEN and make keys with 'evenscan keys create'"
            )
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise ValueError("oidc_issuer and oidc_audience belong together")
        if self.oidc_issuer and not trustworthy(self.oidc_issuer):
            raise ValueError("oidc_issuer must begin with https://, or be at this machine")
        if self.max_buffered_bytes < self.max_body_bytes:
            raise ValueError("max_buffered_bytes must be at least max_body_bytes")
        if self.takeover_seconds < 3 * self.heartbeat_seconds:
            raise ValueError("takeover_seconds must be at least three times heartbeat_seconds")
        return self

    @property
    def database(self) -> str:
        """Address of the database, also of the job store."""
        return self.database_url or f"sqlite:///{self.home / 'evenscan.db'}"

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


def trustworthy(address: str) -> bool:
    """Whether nobody between here and a web address can change what it says.

    >>> trustworthy("https://login.example.org"), trustworthy("http://login.example.org")
    (True, False)
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    secured = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    return bool(host) and secured


def _unknown_variables(model: type[ServiceSettings]) -> list[Fault]:
    known = {f"{PREFIX}{name.upper()}" for name in model.model_fields} | FOREIGN
    faults = []
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            remedy = f"Did you mean '{near[0]}'?" if near else "Remove it."
            faults.append(Fault("environment", f"unknown variable '{name}'", remedy))
    return faults
