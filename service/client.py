"""A client of the service that needs nothing but the standard library."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen
from uuid import uuid4


class ServiceError(Exception):
    """The service refused a request; the message is the detail of its problem+json."""


@dataclass(frozen=True)
class Client:
    """Calls a running service.

    Attributes:
        address: Such as ``http://127.0.0.1:8000``.
        key: API key, if the service asks for one.
        timeout: Seconds to wait for an answer.
    """

    address: str
    key: str = ""
    timeout: float = 60.0

    def embeddings(
        self, images: Mapping[str, bytes], model: str = "champion"
    ) -> dict[str, Any]:
        """Embeddings of encoded images.

        Args:
            images: File name to PNG or JPEG bytes.
            model: ``champion`` or the number of a version.

        Raises:
            ServiceError: The service refused.
        """
        return self._upload(f"/v1/embeddings?model={quote(model)}", images)

    def predictions(
        self, images: Mapping[str, bytes], model: str = "champion"
    ) -> dict[str, Any]:
        """Predictions of encoded images; see :meth:`embeddings`."""
        return self._upload(f"/v1/predictions?model={quote(model)}", images)

    def get(self, path: str) -> dict[str, Any]:
        """The JSON at a path, such as ``/v1/jobs/{id}``.

        Raises:
            ServiceError: The service refused.
        """
        return self._send(Request(self.address + path))

    def _upload(self, path: str, images: Mapping[str, bytes]) -> dict[str, Any]:
        boundary = uuid4().hex
        parts = [_part(boundary, name, content) for name, content in images.items()]
        body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self._send(Request(self.address + path, body, kind, method="POST"))

    def _send(self, request: Request) -> dict[str, Any]:
        if self.key:
            request.add_header("X-API-Key", self.key)
        try:
            # The address is the caller's own, not part of any request.
            with urlopen(request, timeout=self.timeout) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except HTTPError as error:
            raise ServiceError(_detail(error)) from None


def _part(boundary: str, name: str, content: bytes) -> bytes:
    disposition = f'form-data; name="images"; filename="{quote(name)}"'
    head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def _detail(error: HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError):
        return f"{error.code} {error.reason}"
