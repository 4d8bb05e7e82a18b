"""The report as PDF."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evaluation.audit import Audit
from evaluation.card import CARDS
from evaluation.errors import Fault, InputError

#: Variable that tells programs which time to write into what they make.
_TIME = "SOURCE_DATE_EPOCH"

_NEEDED = "the package 'weasyprint'. Install it with: pip install 'evenscan[pdf]'"
_REMEDY = (
    "Install Pango, which WeasyPrint draws text with (Debian: apt install libpango-1.0-0 "
    "libpangoft2-1.0-0 libharfbuzz-subset0), or leave the PDF out."
)


def print_pdf(page: str, audit: Audit) -> bytes:
    """Print a page to PDF, with the model's card in it.

    The card of the Coalition for Health AI is embedded as they ask for it, in the document's
    information as ``chaiMcXml`` with the program in ``chaiMcSoftwareId``; all characters but
    ASCII are written as references, which is the same XML. The digest of the predictions is the
    document's identifier, and there is no date, so the same page and audit give the same bytes.

    Args:
        page: HTML that needs no other file.
        audit: What it is about.

    Raises:
        ModuleNotFoundError: The extra ``pdf`` is not installed.
        InputError: A system library that it needs is missing.

    References:
        Coalition for Health AI, *Applied Model Card*, schema v0.2, on cards as PDF.
    """
    with _without_warnings():
        document = weasyprint_module().HTML(string=page).render()
    program = f"Evenscan {audit.evenscan}"
    card = CARDS.get("chai")().render(audit, audit.about)
    document.metadata.generator = program
    document.metadata.authors = [audit.about.developer] if audit.about.developer else []
    document.metadata.description = (
        f"Verdict: {audit.verdict or 'none'}. SHA-256 of the predictions: {audit.digest}"
    )
    document.metadata.custom = {
        "chaiMcXml": card.encode("ascii", "xmlcharrefreplace").decode(),
        "chaiMcSoftwareId": program,
    }
    with _without_time():
        printed: bytes = document.write_pdf(
            custom_metadata=True, pdf_identifier=audit.digest.encode(), pdf_tags=True
        )
    return printed


@contextmanager
def _without_time() -> Iterator[None]:
    """Let fonts that are embedded say that they were made in 1970, and not when it was printed.

    What embeds them where there is no HarfBuzz writes its time into them.
    """
    before = os.environ.get(_TIME)
    os.environ[_TIME] = "0"
    try:
        yield
    finally:
        del os.environ[_TIME]
        if before is not None:
            os.environ[_TIME] = before


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep back the thousands of warnings about styles that only browsers and figures know."""
    logger = logging.getLogger("weasyprint")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def weasyprint_module() -> Any:
    """WeasyPrint; asked for before long work whose result it is to print.

    Raises:
        ModuleNotFoundError: The extra ``pdf`` is not installed.
        InputError: A system library that it needs is missing.
    """
    try:
        with warnings.catch_warnings():
            # Without HarfBuzz it embeds whole fonts: a larger file, and no other page.
            warnings.simplefilter("ignore", DeprecationWarning)
            import weasyprint
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"a PDF needs {_NEEDED}", name="weasyprint") from error
    except OSError as error:
        found = f"a system library is missing: {error}"
        raise InputError(Fault("report.pdf", found.splitlines()[0], _REMEDY)) from None
    return weasyprint
