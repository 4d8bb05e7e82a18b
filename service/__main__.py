"""The commands of the service alone: ``python -m service``."""

import sys

from evaluation.errors import InputError
from service.cli import app

if __name__ == "__main__":
    try:
        app()
    except InputError as error:
        sys.exit(str(error))
