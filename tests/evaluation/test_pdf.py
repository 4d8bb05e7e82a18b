"""The PDF: pages of A4, the card in it, the same bytes, and errors that say what to install."""

import builtins
import re
import zlib
from xml.etree import ElementTree

import pytest

from evaluation.about import About
from evaluation.cards.chai import ChaiCard
from evaluation.errors import InputError
from evaluation.pdf import print_pdf
from tests.evaluation.made_audit import made_audit

ABOUT = About(name="Größe ≥ 2", developer="A lab", summary="(in brackets)")
PAGE = "<!doctype html><html lang=en><title>An audit</title><style>@page{size:A4}</style><p>1"


@pytest.fixture(scope="module")
def audit():
    return made_audit(about=ABOUT)


@pytest.fixture(scope="module")
def printed(audit, printer):
    return print_pdf(PAGE, audit)


def unpacked(printed):
    """The text of a PDF with the streams of its objects unpacked."""
    streams = re.findall(rb"stream\n(.*?)\nendstream", printed, re.DOTALL)
    unpacked = [zlib.decompressobj().decompress(s) for s in streams if s[:1] == b"x"]
    return b"\n".join([printed, *unpacked]).decode("latin-1")


def information(printed, name):
    """An entry of the document information, with the escapes of PDF strings undone."""
    text = unpacked(printed)
    found = re.search(rf"/{name} \(((?:\\.|[^\\)])*)\)", text, re.DOTALL)
    assert found, name
    return re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL)


def test_is_a_pdf_of_one_a4_page(printed):
    assert printed.startswith(b"%PDF-")
    assert len(re.findall(r"/MediaBox \[0 0 595\.\d+ 841\.\d+\]", unpacked(printed))) == 1


def test_says_what_it_is_of(printed, audit):
    assert information(printed, "Title") == "An audit"
    assert information(printed, "Author") == "A lab"
    assert audit.digest in information(printed, "Subject")
    assert information(printed, "Creator") == f"Evenscan {audit.evenscan}"


def test_holds_the_card_of_the_coalition_for_health_ai(printed, audit):
    card = information(printed, "chaiMcXml")
    same = [
        ElementTree.canonicalize(text, strip_text=True)
        for text in (card, ChaiCard().render(audit, ABOUT))
    ]
    assert same[0] == same[1]
    assert "Größe ≥ 2" in same[0]
    assert information(printed, "chaiMcSoftwareId") == f"Evenscan {audit.evenscan}"


def test_has_no_date_and_is_the_same_every_time(printed, audit, monkeypatch):
    assert "CreationDate" not in unpacked(printed)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert print_pdf(PAGE, audit) == printed


def refuse(error):
    original = builtins.__import__

    def importing(name, *args, **kwargs):
        if name == "weasyprint":
            raise error
        return original(name, *args, **kwargs)

    return importing


def test_a_missing_extra_says_what_to_install(audit, monkeypatch):
    missing = ModuleNotFoundError("No module named 'weasyprint'", name="weasyprint")
    monkeypatch.setattr(builtins, "__import__", refuse(missing))
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'evenscan\[pdf\]'") as caught:
        print_pdf(PAGE, audit)
    assert caught.value.name == "weasyprint"


def test_a_missing_system_library_says_what_to_install(audit, monkeypatch):
    missing = OSError("cannot load library 'libpango-1.0-0'\nsecond line")
    monkeypatch.setattr(builtins, "__import__", refuse(missing))
    with pytest.raises(InputError, match=r"libpango-1.*Install Pango"):
        print_pdf(PAGE, audit)
