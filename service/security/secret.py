"""The key under which patient identifiers are hashed and webhooks are signed."""

import os
import secrets

from service.settings import ServiceSettings


def secret_of(settings: ServiceSettings) -> bytes:
    """The secret of a service: that of the settings, or the one in the file ``secret``.

    The file is made at first use, readable by its owner only. Processes that do so at once find
    the same secret.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    path = settings.home / "secret"
    if not path.exists():
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        drawn = path.with_name(f".secret-{secrets.token_hex(8)}")
        handle = os.open(drawn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(drawn, path)
        except FileExistsError:
            pass  # another process was faster
        finally:
            drawn.unlink()
    return path.read_bytes()
