"""Where a service is, what is asked for there, and what a key may look like."""

from urllib.parse import SplitResult, quote, urlsplit

from evaluation.errors import Fault, InputError
from service.settings import is_loopback


def checked_address(address: str, key: str, *, insecure: bool) -> SplitResult:
    """The parts of an address that a key may be sent to.

    Args:
        address: Such as ``https://evenscan.example.org``.
        key: Key or token; empty: none.
        insecure: Whether it may be sent where others can read it.

    Raises:
        InputError: It is no address, the key is none, or it could be read on its way there.
    """
    parts = _parts(address)
    if not all("!" <= letter <= "~" for letter in key):
        found = "it holds a blank, a line's end or a letter that no key has"
        raise InputError(Fault("key", found, "Give the key alone, as it was shown."))
    in_the_open = parts.scheme == "http" and not is_loopback(parts.hostname or "")
    if key and in_the_open and not insecure:
        found = "the key would travel readable for everybody"
        raise InputError(Fault(address, found, "Give an address with https://."))
    return parts


def quoted(name: int | str) -> str:
    """A name as one part of a path.

    Raises:
        InputError: It can be none: it would lead to another place of the service.

    Examples:
        >>> quoted("a b?"), quoted(3)
        ('a%20b%3F', '3')
        >>> quoted("..")
        Traceback (most recent call last):
        evaluation.errors.InputError: id: '..' can be no id. Give one as it is listed.
    """
    text = str(name)
    # Slashes and dots are put together with the rest of a path on its way, quoted or not.
    if text in ("", ".", "..") or "/" in text or not text.isprintable():
        remedy = "Give one as it is listed."
        raise InputError(Fault("id", f"{text[:60]!r} can be no id", remedy))
    return quote(text, safe="")


def own_path(path: str) -> str:
    """A path of the service that is asked, such as one of its links.

    Raises:
        InputError: It leads elsewhere, where the key must not go.
    """
    if not path.startswith("/") or path.startswith("//"):
        found = "it is no path of the service"
        raise InputError(Fault(path[:60], found, "Give one that begins with '/', as links do."))
    return path


def _parts(address: str) -> SplitResult:
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
    raise InputError(Fault(shown, "it is no address", remedy))
