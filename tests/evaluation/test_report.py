"""The report: one page, no other file, nothing of the input taken for markup."""

import json
import re

import pandas as pd
import pytest
from markupsafe import escape

from evaluation.audit import AuditSpec, audit
from evaluation.card import CARDS
from evaluation.groups import Attribute
from evaluation.policy import Clause, Policy
from evaluation.predictions import Predictions
from evaluation.report import render, summary, write
from tests.conftest import made_predictions

POLICY = Policy(
    name="p",
    description="For a trial.",
    clause=(Clause(quantity="overall", metric="auroc", minimum=0.6),),
)


@pytest.fixture(scope="module")
def found():
    predictions = Predictions.from_table(made_predictions(), ["sex", "age"])
    attributes = (Attribute(name="sex"), Attribute(name="age", bins=(40, 65)))
    return audit(predictions, AuditSpec(attributes=attributes, draws=100), POLICY)


def test_is_the_same_every_time(found):
    assert render(found) == render(found)


def test_the_verdict_comes_first(found):
    page = render(found)
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert titles[0] == "Verdict"
    assert titles[-1] == "Limits"
    assert "✓ PASS" in page
    assert "For a trial." in page


def test_names_from_the_input_are_escaped():
    table = made_predictions()
    table["sex"] = table["sex"].replace("male", "<script>alert(1)</script>")
    predictions = Predictions.from_table(table, ["sex"], source="<b>x</b>.csv")
    result = audit(predictions, AuditSpec(attributes=(Attribute(name="sex"),), draws=100))
    page = render(result)
    assert "<script" not in page
    assert "<b>x" not in page
    assert "&lt;script&gt;" in page


def test_undefined_is_a_dash_and_never_zero():
    table = made_predictions().assign(label=1)
    predictions = Predictions.from_table(table, ["sex"])
    result = audit(predictions, AuditSpec(attributes=(Attribute(name="sex"),), draws=100))
    page = render(result)
    assert "undefined: only one class" in page
    assert "<small>–</small>" in page


def test_writes_every_form_and_the_evidence_of_it(found, tmp_path):
    page = write(found, tmp_path / "new" / "folder")
    folder = page.parent
    assert page.name == "report.html"
    assert page.read_text() == render(found)
    assert (folder / "audit.json").read_text() == found.to_json()
    estimates = pd.read_csv(folder / "tables" / "estimates.csv")
    assert len(estimates) == len(found.estimates)
    written = {path for path in folder.rglob("*") if path.is_file()}
    chained = [
        json.loads(line) for line in (folder / "evidence.jsonl").read_text().splitlines()
    ]
    kept = {folder / line["name"] for line in chained if line["what"] == "output"}
    assert kept == written - {folder / "evidence.jsonl"}
    digests = {line["sha256"] for line in chained}
    assert {each.sha256 for each in found.inputs} <= digests
    for card in map(CARDS.get, CARDS.names()):
        assert card.filename in {path.name for path in written}


def test_writes_the_same_bytes_again_and_the_chain_goes_on(found, tmp_path):
    names = ("audit.json", "report.html", "tables/gaps.csv")
    write(found, tmp_path)
    first = [(tmp_path / name).read_bytes() for name in names]
    lines = (tmp_path / "evidence.jsonl").read_text().splitlines()
    write(found, tmp_path)
    assert [(tmp_path / name).read_bytes() for name in names] == first
    again = (tmp_path / "evidence.jsonl").read_text().splitlines()
    assert again[: len(lines)] == lines
    assert len(again) == 2 * len(lines)


def test_prints_to_pdf(found, tmp_path, printer):
    write(found, tmp_path, pdf=True)
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF-")
    assert "report.pdf" in (tmp_path / "evidence.jsonl").read_text()


def test_the_first_page_says_what_chance_explains(found):
    page = render(found)
    first = page[page.index('<section id="verdict"') : page.index("</section>")]
    gap = max(
        (each for each in found.gaps if each.metric == "auroc" and len(each.attributes) == 1),
        key=lambda each: each.value,
    )
    said = "larger than" if gap.value > gap.null_high else "within what"
    assert f"{gap.value:.3f}" in first
    assert said in first
    assert escape(gap.worst) in first


def test_the_identity_holds_the_digests_of_all_inputs(found):
    page = render(found)
    assert all(each.sha256 in page for each in found.inputs)


def test_summary_names_verdict_and_clauses(found):
    from rich.console import Console

    console = Console(width=120, record=True, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        console.print(summary(found))
    text = captured.get()
    assert "Verdict: PASS" in text
    assert "AUROC overall is at least 0.6" in text


def test_signs_of_formulas_are_text():
    table = made_predictions()
    table["sex"] = table["sex"].replace({"male": "$a_$b", "female": "x^$"})
    predictions = Predictions.from_table(table, ["sex"])
    result = audit(predictions, AuditSpec(attributes=(Attribute(name="sex"),), draws=100))
    assert "sex: $a_$b" in render(result)


def test_a_later_audit_takes_away_what_it_does_not_write(tmp_path):
    from evaluation.audit import audit
    from evaluation.evidence_chain import verify
    from evaluation.predictions import Predictions
    from evaluation.spec import AuditSpec
    from tests.conftest import made_predictions

    predictions = Predictions.from_table(made_predictions(), ["sex"])
    write(audit(predictions, AuditSpec(attributes=({"name": "sex"},), draws=100)), tmp_path)
    assert (tmp_path / "tables" / "gaps.csv").exists()
    (tmp_path / "report.pdf").write_bytes(b"of an earlier audit")
    write(audit(predictions, AuditSpec(draws=100)), tmp_path)
    assert not (tmp_path / "tables" / "gaps.csv").exists()
    assert not (tmp_path / "report.pdf").exists()
    assert verify(tmp_path / "evidence.jsonl", tmp_path) == []
