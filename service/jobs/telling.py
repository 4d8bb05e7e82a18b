"""What a job may say of a fault: what a file is, not where it lies or what it is called."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from evaluation.errors import Fault
from service.layout import Layout
from service.settings import ServiceSettings

#: A path from the root of a disk, bare or in quotes.
PATH: Final = re.compile(r"""(['"])(/[^'"]+)\1|(?<![\w.:/<~-])(/[^\s'",;:()]+)""")

#: What a file is that lies in no folder of the service.
ELSEWHERE: Final = "a file of the data"


def roles(settings: ServiceSettings) -> Mapping[Path, str]:
    """What the folders of a service hold, in words."""
    layout = Layout(settings)
    return {
        layout.uploads: "the upload",
        layout.jobs: "the run",
        layout.models: "the model version",
        layout.audits: "the audit",
        settings.cohorts: "the cohort's settings",
        settings.home: "a file of the service",
    }


def told(text: str, roles: Mapping[Path, str]) -> str:
    """The text with every path of this machine replaced by what lies there.

    File names go too: images are often called by a patient's number.

    >>> told("/data/P7/7.png: cannot be read", {})
    'a file of the data: cannot be read'
    >>> told("GET /v1/jobs lists what there is", {Path("/srv"): "a file of the service"})
    'GET /v1/jobs lists what there is'

    Args:
        text: Of a fault.
        roles: What folders hold; the first that a path lies in counts.
    """
    for folder, role in roles.items():
        # Known folders first: their own names may have blanks.
        text = re.sub(rf"""{re.escape(str(folder))}(/[^\s'",;:()]*)?(?![\w-])""", role, text)
    return PATH.sub(_role, text)


def _role(match: re.Match[str]) -> str:
    path = match[2] or match[3]
    return match[0] if path.startswith(("/v1/", "/v2/")) else ELSEWHERE


def tellable(fault: Fault, roles: Mapping[Path, str]) -> Fault:
    """The fault without paths of this machine."""
    where, found, remedy = (
        told(text, roles) for text in (fault.where, fault.found, fault.remedy)
    )
    return replace(fault, where=where, found=found, remedy=remedy)
