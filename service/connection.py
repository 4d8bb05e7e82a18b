"""How the client speaks to a service: keys, errors, another try, files both ways."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from json import loads
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit
from uuid import uuid4

import httpx2
from pydantic import ValidationError

from evaluation.errors import Fault as InputFault
from evaluation.errors import InputError
from evaluation.files import atomic_path
from service.client_types import Answer, Event, Fault, Image
from service.settings import is_loopback

Kind = TypeVar("Kind", bound=Answer)
Done = TypeVar("Done")

#: Parts of a form that hold files, with their fields.
Files = Sequence[tuple[str, Image]]

#: Answers that say that another try may do.
PASSING: Final = (429, 503)

#: Kind of the 409 that says that the first try is not over.
UNDER_WAY: Final = "urn:evenscan:problem:under-way"

#: Seconds to the second try, if the service does not say; doubled with each.
FIRST_WAIT: Final = 0.5

#: Seconds without an answer to a new connection.
CONNECT: Final = 10.0


class ServiceError(Exception):
    """The service refused a request, or did not answer.

    Attributes:
        status: HTTP status; None if there was no answer.
        detail: What happened, and what to do about it.
        errors: Every fault of the input.
        request: Id under which the service's log has the request.
        kind: Kind of the problem, a URI.
        after: Seconds after which the service wants to be asked again; 0 if it names none.
    """

    def __init__(
        self,
        status: int | None,
        detail: str,
        errors: Sequence[Fault] = (),
        request: str = "",
        kind: str = "about:blank",
        after: float = 0.0,
    ) -> None:
        """Keep what is known; the message is the detail."""
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, tuple(errors)
        self.request, self.kind, self.after = request, kind, after


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
            InputError: It is no address, the key is none, or it could be read on its way there.
        """
        parts = _address(address)
        if not all("!" <= letter <= "~" for letter in key):
            found = "it holds a blank, a line's end or a letter that no key has"
            raise InputError(InputFault("key", found, "Give the key alone, as it was shown."))
        at_home = is_loopback(parts.hostname or "")
        if key and parts.scheme == "http" and not at_home and not insecure:
            found = "the key would travel readable for everybody"
            raise InputError(InputFault(address, found, "Give an address with https://."))
        self.address, self.patience = address.rstrip("/"), patience
        self._http = httpx2.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(timeout, connect=CONNECT),
            # A proxy has no part in what stays on this machine.
            trust_env=not at_home,
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
        files: Files = (),
        accept: str = "application/json",
        repeatable: bool = True,
    ) -> httpx2.Response:
        """An answer, read whole.

        Args:
            method: HTTP method.
            path: Path of the request.
            query: Its query; what is None is left out.
            json: Its body.
            form: Instead: fields of a form.
            files: Files of the form, which are read while they are sent.
            accept: Media type of the answer.
            repeatable: Whether it may be sent again. It gets an ``Idempotency-Key`` then, if it
                makes something.

        Raises:
            ServiceError: The service refused, or does not answer.
        """
        headers = {"Accept": accept}
        if repeatable and method != "GET":
            headers["Idempotency-Key"] = uuid4().hex

        def once() -> httpx2.Response:
            with ExitStack() as opened:
                parts = [_part(field, image, opened) for field, image in files]
                response = self._http.request(
                    method,
                    path,
                    params=_given(query),
                    json=json,
                    data=None if form is None else _given(form),
                    files=parts or None,
                    headers=headers,
                )
            _check(response)
            return response

        return self._patiently(once) if repeatable else _reached(self.address, once)

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
            page = _json(self.send("GET", path, query=window))
            for item in page["items"]:
                yield _validated(kind, item)
            if (cursor := page["next"]) is None:
                return

    def download(self, path: str, target: Path, accept: str = "*/*") -> Path:
        """Write an answer to a file: whole, or not at all.

        Raises:
            ServiceError: The service refused, or does not answer, or broke off.
        """

        def once() -> Path:
            with (
                self._http.stream("GET", path, headers={"Accept": accept}) as response,
                ExitStack() as writing,
            ):
                if response.status_code >= 400:
                    response.read()
                _check(response)
                partial = writing.enter_context(atomic_path(target))
                with partial.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
            return target

        return self._patiently(once)

    def events(self, path: str, last: int) -> Iterator[Event]:
        """What a stream of events says, from the one after ``last`` to its end.

        Raises:
            ServiceError: The service refused, or the stream broke off.
        """
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
        with (
            _worded(self.address),
            self._http.stream("GET", path, headers=headers) as response,
        ):
            if response.status_code >= 400:
                response.read()
            _check(response)
            for said in httpx2.EventSource(response):
                content: dict[str, Any] = loads(said.data)
                yield Event(
                    kind=said.event or "log",
                    text=content.get("text", content.get("step", "")),
                    progress=content.get("progress"),
                    id=int(said.id) if said.id and "text" in content else None,
                )

    def _patiently(self, once: Callable[[], Done]) -> Done:
        """Try until it works, it is refused for good, or patience ends."""
        deadline, wait = time.monotonic() + self.patience, FIRST_WAIT
        while True:
            try:
                return _reached(self.address, once)
            except ServiceError as error:
                passing = error.status in (None, *PASSING) or error.kind == UNDER_WAY
                pause = max(wait, error.after)
                if not passing or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            wait *= 2


def read(response: httpx2.Response, kind: type[Kind]) -> Kind:
    """The body of an answer, typed.

    Raises:
        ServiceError: It is something else, so the address is not that of a service.
    """
    return _validated(kind, _json(response))


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise _foreign(response.status_code) from None


def _validated(kind: type[Kind], content: Any) -> Kind:
    try:
        return kind.model_validate(content)
    except ValidationError:
        raise _foreign(200) from None


def _foreign(status: int) -> ServiceError:
    return ServiceError(status, "The answer is none of this service. Check the address.")


def _check(response: httpx2.Response) -> None:
    """Raise what a response refuses.

    Raises:
        ServiceError: It is no success.
    """
    if response.is_success:
        return
    status, named = response.status_code, response.headers.get("x-request-id", "")
    after = _seconds(response.headers.get("retry-after", ""))
    try:
        body = response.json()
        detail = str(body["detail"])
        errors = [Fault.model_validate(each) for each in body.get("errors", [])]
        kind = str(body.get("type", "about:blank"))
    except (ValueError, KeyError, TypeError, AttributeError):
        # Something between here and the service has answered.
        plain = f"{status} {response.reason_phrase}".strip()
        raise ServiceError(status, plain, (), named, after=after) from None
    raise ServiceError(status, detail, errors, named, kind, after)


def _seconds(text: str) -> float:
    """What a ``Retry-After`` names; 0 for a date or nothing.

    >>> _seconds("2"), _seconds("Mon, 23 Nov 2026 04:00:00 GMT")
    (2.0, 0.0)
    """
    return float(text) if text.isdecimal() else 0.0


def _reached(address: str, once: Callable[[], Done]) -> Done:
    with _worded(address):
        return once()


@contextmanager
def _worded(address: str) -> Iterator[None]:
    try:
        yield
    except httpx2.TransportError as error:
        said = str(error) or type(error).__name__
        detail = f"{address} does not answer: {said}. Check that the service runs there."
        raise ServiceError(None, detail) from None


def _address(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        named = "@" in parts.netloc  # a password in it would be told by every error
        if parts.scheme in ("http", "https") and parts.hostname and not named:
            _ = parts.port  # refuses what is no port
            return parts
    except ValueError:
        pass
    remedy = "Give one such as https://evenscan.example.org, or set EVENSCAN_URL."
    shown = address.rpartition("@")[2] or "service"
    raise InputError(InputFault(shown, "it is no address", remedy))


def _part(field: str, image: Image, opened: ExitStack) -> tuple[str, tuple[str, Any]]:
    if isinstance(image, Path):
        return field, (image.name, opened.enter_context(image.open("rb")))
    return field, image


def _given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (values or {}).items() if value is not None}
