"""A service that asks for keys, and keys for it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import uvicorn
from fastapi import APIRouter
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from service_samples import Running

from service.app import ROUTES, create_app
from service.protocol.connections import watched
from service.security.access import ROLES
from service.settings import ServiceSettings


@contextmanager
def locked(settings: ServiceSettings) -> Iterator[Running]:
    """A service that needs keys, called by another name than this machine's."""
    app = create_app(settings)
    name = "http://hospital.example"
    with TestClient(app, base_url=name, raise_server_exceptions=False) as client:
        yield Running(client, settings, app.state.services)


def bearer(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


def key_of(service: Running, role: str, **more: object) -> dict[str, str]:
    """The header with a new key of a role."""
    return bearer(service.services.keys.create(f"a {role}", role, **more)[1])


def keys_of_roles(service: Running) -> dict[str, dict[str, str]]:
    """A header by role."""
    return {role: key_of(service, role) for role in ROLES}


def every_route() -> list[APIRoute]:
    """All routes of the service."""
    routers: list[APIRouter] = [ROUTES.get(name) for name in ROUTES.names()]
    return [r for router in routers for r in router.routes if isinstance(r, APIRoute)]


@contextmanager
def listening(settings: ServiceSettings) -> Iterator[tuple[str, int]]:
    """A real server on a real socket, as ``evenscan serve`` makes it; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        configuration = uvicorn.Config(
            create_app(settings),
            http=watched(settings.body_seconds),
            ws="none",
            log_config=None,
            server_header=False,
        )
        server = uvicorn.Server(configuration)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def call(address: tuple[str, int], text: bytes, wait: float = 10) -> Iterator[socket.socket]:
    """A connection over which something was sent."""
    with closing(socket.create_connection(address, timeout=wait)) as connection:
        connection.sendall(text)
        yield connection


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)
