"""How the client speaks to a service: keys, another try, pages, files both ways, streams."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx2

from evaluation.files import atomic_path
from service.client.address import checked_address
from service.client.answers import Kind, check, event, read, validated
from service.client.error import foreign, worded
from service.client.form import Files, check_form, given, parts
from service.client.patience import patiently
from service.client.types import Answer, Event
from service.settings import is_loopback

#: Seconds without an answer to a new connection.
CONNECT: Final = 10.0


class Page(Answer):
    """A part of a list, and where the next one begins."""

    items: tuple[Any, ...]
    next: str | None


class Connection:
    """Sends requests and reads answers.

    What fails for a passing reason is tried again: connections that are refused or break, 429
    and 503 after the time that they name. All requests but those for a new key can be repeated
    safely: they only read, or carry an ``Idempotency-Key``.
    """

    def __init__(
        self,
        address: str,
        key: str,
        timeout: float,
        patience: float,
        *,
        insecure: bool = False,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Prepare to call an address; nothing is sent yet.

        Args:
            address: Such as ``https://evenscan.example.org``.
            key: Key or token; empty: none.
            timeout: Seconds to wait for a piece of an answer.
            patience: Seconds within which another try may begin.
            insecure: Send the key where others can read it.
            transport: In place of the network, for tests.

        Raises:
            InputError: See :func:`service.client.address.checked_address`.
        """
        host = checked_address(address, key, insecure=insecure).hostname or ""
        self.address, self.patience = address.rstrip("/"), patience
        self._http = httpx2.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(timeout, connect=CONNECT),
            # A proxy has no part in what stays on this machine.
            trust_env=not is_loopback(host),
            transport=transport,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        files: Files | None = None,
        body: tuple[str, bytes] | None = None,
        accept: str = "application/json",
        repeatable: bool = True,
    ) -> httpx2.Response:
        """An answer, read whole.

        Args:
            method: HTTP method.
            path: Path of the request.
            query: Its query; what is None is left out.
            json: Its body.
            form: Instead: fields of a form; what is None is left out.
            files: Files of the form, which are read while they are sent.
            body: Instead: a media type, and the bytes.
            accept: Media type of the answer.
            repeatable: Whether it may be sent again. It gets an ``Idempotency-Key`` then, if it
                makes something.

        Raises:
            InputError: The form has a file that cannot be sent.
            ServiceError: The service refused, or does not answer.
        """
        headers = {"Accept": accept} | ({"Content-Type": body[0]} if body else {})
        if repeatable and method != "GET":
            headers["Idempotency-Key"] = uuid4().hex
        fields, attached = given(form), files or ()
        if form is not None or files is not None:
            check_form(fields, attached)

        def once() -> httpx2.Response:
            with worded(self.address), ExitStack() as opened:
                response = self._http.request(
                    method,
                    path,
                    params=given(query),
                    json=json,
                    files=parts(fields, attached, opened) or None,
                    content=body and body[1],
                    headers=headers,
                )
            check(response)
            return response

        return patiently(once, self.patience) if repeatable else once()

    def get(self, path: str, kind: type[Kind], /, **query: Any) -> Kind:
        """One thing.

        Raises:
            ServiceError: The service refused, or does not answer.
        """
        return read(self.send("GET", path, query=query), kind)

    def pages(self, path: str, kind: type[Kind], /, **query: Any) -> Iterator[Kind]:
        """A list, fetched page by page as it is read."""
        cursor: str | None = None
        while True:
            window = {**query, "limit": 100, "cursor": cursor}
            page = self.get(path, Page, **window)
            for item in page.items:
                yield validated(kind, item)
            if page.next is None:
                return
            cursor = page.next

    def download(self, path: str, target: Path, accept: str = "*/*") -> Path:
        """Write an answer to a file: whole, or not at all.

        Raises:
            ServiceError: The service refused, or does not answer, or broke off.
        """

        def once() -> Path:
            with (
                worded(self.address),
                self._http.stream("GET", path, headers={"Accept": accept}) as response,
                ExitStack() as writing,
            ):
                _check_stream(response)
                partial = writing.enter_context(atomic_path(target))
                with partial.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
            return target

        return patiently(once, self.patience)

    def events(self, path: str, last: int) -> Iterator[Event]:
        """What a stream of events says, from the one after ``last`` to its end.

        Raises:
            ServiceError: The service refused, or the stream broke off.
        """
        kind = "text/event-stream"
        headers = {"Accept": kind, "Last-Event-ID": str(last)}
        with (
            worded(self.address),
            self._http.stream("GET", path, headers=headers) as response,
        ):
            _check_stream(response)
            if not response.headers.get("content-type", "").startswith(kind):
                raise foreign(response.status_code)
            for said in httpx2.EventSource(response):
                yield event(said)


def _check_stream(response: httpx2.Response) -> None:
    if not response.is_success:
        response.read()
    check(response)
