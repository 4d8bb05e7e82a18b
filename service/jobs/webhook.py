"""Webhooks: an address that is told of a job's end, and only addresses that were allowed.

A message is a POST with a JSON body and two headers: ``Evenscan-Delivery``, the same for every
try of one message, so that a receiver takes it once, and ``Evenscan-Signature``, which
:func:`verify` checks.
"""

import hashlib
import hmac
import json
import re
import socket
import ssl
import time
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from evaluation.errors import Fault, InputError
from service.settings import ServiceSettings
from service.storage.tables import Job

#: Headers of a message.
SIGNATURE: Final = "Evenscan-Signature"
DELIVERY: Final = "Evenscan-Delivery"

#: Seconds after each try that failed and before the next one, for about three hours in all.
PAUSES: Final = (2.0, 15.0, 60.0, 600.0, 3600.0, 7200.0)

#: Letters of the longest name of a host (RFC 1035).
LONGEST_HOST: Final = 253

#: Addresses that stand for those of IPv4 (RFC 6052).
NAT64: Final = IPv6Network("64:ff9b::/96")

#: How long an address may take to answer, in seconds.
TIMEOUT: Final = 10.0

#: How old a signature may be, in seconds.
TOLERANCE: Final = 300.0


class NotDelivered(Exception):
    """The address did not take the message; the text says why, for the job's events."""


def check_address(address: str, settings: ServiceSettings) -> None:
    """Refuse an address that no webhook may go to.

    Raises:
        InputError: It is no address, or its host is not in ``EVENSCAN_WEBHOOK_HOSTS``.
    """
    parts = _split(address)
    listed = _listed(parts.hostname or "", settings)
    if listed is None:
        found = f"no webhook may go to '{parts.hostname}'"
        remedy = "Ask whoever runs the service to name the host in EVENSCAN_WEBHOOK_HOSTS."
        raise InputError(Fault("body", found, remedy, column="webhook"))
    if parts.scheme == "http" and not listed:
        found = f"'{parts.hostname}' is not listed by itself, and http can be read by anybody"
        raise InputError(Fault("body", found, "Use https.", column="webhook"))


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and parts.port != 0 and _sendable(parts)
    except ValueError:
        sound = False
    if not sound or parts.username is not None or re.search(r"[\s\x00-\x1f\x7f]", address):
        remedy = "Give an address such as https://hooks.example.org/evenscan."
        found = "the webhook is not an address of http or https"
        raise InputError(Fault("body", found, remedy, column="webhook"))
    return parts


def _sendable(parts: SplitResult) -> bool:
    """Whether the host can be looked up, and the rest be written into a request.

    Raises:
        UnicodeError: The host has an empty label, or one of more than 63 letters.
    """
    host = parts.hostname or ""
    encoded = host.encode("idna") if len(host) <= LONGEST_HOST else b""
    return 0 < len(encoded) <= LONGEST_HOST and (parts.path + parts.query).isascii()


def _listed(host: str, settings: ServiceSettings) -> bool | None:
    """Whether a host is listed by itself; None if it is not even below a listed one."""
    listed = [entry.strip().lower() for entry in settings.webhook_hosts.split(",")]
    if host in listed:
        return True
    below = [entry[1:] for entry in listed if entry.startswith("*.")]
    return False if any(host.endswith(end) for end in below) else None


def message(job: Job) -> bytes:
    """What is sent: ``job``, ``kind``, ``state``, ``reason`` and ``links``."""
    said = {"job": job.id, "kind": job.kind, "state": job.state, "reason": job.reason}
    return json.dumps(said | {"links": {"job": f"/v1/jobs/{job.id}"}}).encode()


def delivery_of(job: Job) -> str:
    """Id of the message of a job's end, the same however often it is tried."""
    return f"{job.id}-end"


def sign(secret: bytes, body: bytes, moment: float) -> str:
    """The header ``Evenscan-Signature`` of a message.

    Args:
        secret: Of the service.
        body: Of the message.
        moment: Of the signature, in seconds since 1970.
    """
    return f"t={moment:.0f},v1={_digest(secret, body, f'{moment:.0f}')}"


def verify(
    secret: bytes,
    header: str,
    body: bytes,
    tolerance: float = TOLERANCE,
    moment: float | None = None,
) -> bool:
    """Whether a message came from the service and is young, for those who receive one.

    >>> header = sign(b"secret", b"{}", 1_000_000)
    >>> verify(b"secret", header, b"{}", moment=1_000_010)
    True
    >>> verify(b"secret", header, b"{}", moment=1_001_000)
    False

    Args:
        secret: Of the service.
        header: ``Evenscan-Signature`` as it came.
        body: The body to the byte as it came.
        tolerance: How far the time of the signature may be from now, in seconds.
        moment: Now, in seconds since 1970; None: as the clock says.
    """
    match = re.fullmatch(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", header)
    if match is None:
        return False
    said = time.time() if moment is None else moment
    young = abs(said - int(match[1])) <= tolerance
    return young and hmac.compare_digest(_digest(secret, body, match[1]), match[2])


def _digest(secret: bytes, body: bytes, moment: str) -> str:
    return hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()


def deliver(job: Job, secret: bytes, settings: ServiceSettings) -> int:
    """Send the message of a job's end, once.

    Redirects are not followed: they would lead where nobody allowed.

    Returns:
        The status that was answered, in [200, 299].

    Raises:
        NotDelivered: The address may not be used, did not answer, or refused.
    """
    parts, body = _allowed(job.webhook or "", settings), message(job)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "evenscan",
        DELIVERY: delivery_of(job),
        SIGNATURE: sign(secret, body, time.time()),
    }
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    connection = HTTPConnection(parts.netloc, timeout=TIMEOUT)
    try:
        connection.sock = _dialled(parts, bool(_listed(parts.hostname or "", settings)))
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, HTTPException, ValueError) as error:  # also what cannot be written
        raise NotDelivered(f"there was no answer: {type(error).__name__}") from None
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotDelivered(f"it answered {status}")
    return status


def _allowed(address: str, settings: ServiceSettings) -> SplitResult:
    try:
        check_address(address, settings)
    except InputError as error:
        raise NotDelivered(error.faults[0].found) from None
    return urlsplit(address)


def _dialled(parts: SplitResult, private: bool) -> socket.socket:
    """A connection to the very address that was looked at: no name server can swap it.

    Args:
        parts: Where to.
        private: Whether addresses of one's own network are allowed.
    """
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    place = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    if not private and not _public(ip_address(place)):
        raise NotDelivered("it is in a private network, and not listed by itself")
    dialled = socket.create_connection((place, port), TIMEOUT)
    if not secure:
        return dialled
    return ssl.create_default_context().wrap_socket(dialled, server_hostname=host)


def _public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the open network, also behind what carries IPv4 in IPv6."""
    if isinstance(address, IPv6Address):
        carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64:
            carried.append(IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(_public(inner) for inner in carried if inner is not None):
            return False
    return address.is_global and not address.is_multicast
