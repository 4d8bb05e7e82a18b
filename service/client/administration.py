"""Calls about keys and about the service itself."""

from collections.abc import Iterable, Iterator

from service.client.address import quoted
from service.client.answers import read
from service.client.calls import Calls
from service.client.error import ServiceError
from service.client.types import Alive, Health, Key


class AdministrationCalls(Calls):
    """Keys: made, listed, revoked. The service: whether it is well, and what it counts."""

    def create_key(
        self, name: str, role: str, scopes: Iterable[str] = (), expires: str = "90d"
    ) -> Key:
        """Make a key; only this answer has it. It is not tried again: it cannot be repeated."""
        body = {"name": name, "role": role, "scopes": list(scopes), "expires": expires}
        made = self._connection.send("POST", "/v1/keys", json=body, repeatable=False)
        return read(made, Key)

    def keys(self) -> Iterator[Key]:
        """The keys, the newest first."""
        return self._connection.pages("/v1/keys", Key)

    def revoke_key(self, key: str) -> None:
        """Take a key back."""
        self._connection.send("DELETE", f"/v1/keys/{quoted(key)}")

    def live(self) -> bool:
        """Whether the process answers, whatever it could do; False if nothing does."""
        try:
            read(self._connection.send("GET", "/health/live", repeatable=False), Alive)
        except ServiceError as error:
            if error.status is None:
                return False
            raise
        return True

    def startup(self) -> bool:
        """Whether the service has started: it has once loaded the champion, if there is one."""
        return self._is_well("startup")

    def is_ready(self) -> bool:
        """Whether requests can be sent."""
        return self._is_well("ready")

    def metrics(self) -> str:
        """Counts and times, in the text format of Prometheus."""
        return self._connection.send("GET", "/metrics", accept="text/plain").text

    def _is_well(self, probe: str) -> bool:
        try:
            answer = self._connection.send("GET", f"/health/{probe}", repeatable=False)
        except ServiceError as error:
            if error.status == 503:
                return False
            raise
        return read(answer, Health).status == "ready"
