"""What a service writes is for its own user: images of patients, and who asked for what."""

import os


def private() -> None:
    """Let nobody else of this machine read what this process makes from now on."""
    os.umask(0o077)
