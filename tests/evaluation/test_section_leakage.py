"""What embeddings give away: read in words, maps as illustration, nothing undefined as 0."""

import re

import numpy as np
import pandas as pd
import pytest

from evaluation.audit import audit
from evaluation.embeddings import Embeddings
from evaluation.findings import Leakage
from evaluation.groups import Attribute
from evaluation.predictions import Predictions
from evaluation.section import SECTIONS
from evaluation.spec import AuditSpec
from tests.evaluation.made_audit import made_audit, made_table

NAN = float("nan")
SPEC = {
    "draws": 100,
    "metrics": ["auroc"],
    "attributes": [{"name": "sex"}, {"name": "site"}],
    "leakage": {"permutations": 20, "mode_permutations": 1999, "probes": ["linear", "knn"]},
}


@pytest.fixture(scope="module")
def found():
    """Sex is in style and not in content, which knows the label."""
    table = made_table()
    generator = np.random.default_rng(0)
    male = (table["sex"] == "male").to_numpy(float)
    content = generator.normal(size=(len(table), 3))
    content[:, 0] += 2 * table["label"]
    style = generator.normal(size=(len(table), 2))
    style[:, 0] += 3 * male
    codes = {f"content_{i}": content[:, i] for i in range(3)}
    codes |= {f"style_{i}": style[:, i] for i in range(2)}
    embeddings = Embeddings.from_table(pd.DataFrame({"sample": table["sample"], **codes}))
    predictions = Predictions.from_table(table, ["sex", "site"])
    return audit(predictions, AuditSpec.parse(SPEC, "spec"), embeddings=embeddings)


def leak(**given):
    known = {"latent": "content", "attribute": "sex", "auroc": 0.7, "low": 0.6, "high": 0.8}
    more = {"chance_high": 0.55, "dimensions": 3, "patients": 100}
    return Leakage(**known | more | given)


def shown(result, name="leakage"):
    return str(SECTIONS.get(name)().render(result))


def with_leakage(*findings):
    return made_audit().model_copy(update={"leakage": findings})


def test_an_audit_without_embeddings_has_neither_section():
    for name in ("leakage", "information"):
        assert not SECTIONS.get(name)().applies(made_audit())


def test_content_is_read_in_words(found):
    page = shown(found)
    assert re.search(r"<li>sex was not found in content: 0\.\d+ \(", page)
    assert re.search(r"<li>The label can be read in content: 0\.\d+ \(", page)
    assert "does not prove that nothing is there" in " ".join(page.split())


def test_the_probe_that_reads_most_is_told_beside_the_pixels():
    findings = [
        leak(probe="linear"),
        leak(probe="knn", auroc=0.75, low=0.65, high=0.85),
        leak(latent="pixels", probe="knn", auroc=0.9, low=0.8, high=1.0),
    ]
    page = shown(with_leakage(*findings))
    assert (
        "sex can be read in content: 0.750 (0.650 to 0.850), knn probe, the highest of 2; "
        "guessing exceeds 0.550 one time in twenty; in the pixels it is 0.900." in page
    )


def test_an_undefined_probe_is_a_dash_with_its_reason():
    nothing = {"auroc": NAN, "low": NAN, "high": NAN, "chance_high": NAN}
    page = shown(with_leakage(leak(**nothing, reason="too few patients")))
    assert "sex: nothing can be said of content, too few patients." in page
    assert "nan" not in page


def test_reading_without_the_label_is_folded(found):
    before, _, after = shown(found).partition("<details>")
    assert "regard to the label" in after
    assert before.count('scope="row">sex<') == after.count('scope="row">sex<') == 2


def test_differing_modes_are_told_with_q(found):
    page = shown(found, "information")
    assert re.search(
        r"Along \d+ of \d+ directions groups differ: sex along direction 1 of", page
    )
    assert "style (q 0." in page


def test_maps_are_marked_as_illustration_and_tell_groups_by_shape(found):
    page = shown(found, "information")
    assert "An illustration, not evidence" in page
    assert page.count("<svg") == 3  # sex, site, label
    colours = set(re.findall(r"stroke:(#0072b2|#d55e00)", page))
    assert colours == {"#0072b2", "#d55e00"}
    assert len(page) < 100_000


def test_a_shareable_audit_has_no_maps(found):
    page = shown(found.model_copy(update={"maps": ()}), "information")
    assert "<svg" not in page
    assert "Information" in page


def test_names_are_no_markup(found):
    assert "<b>|north" not in shown(found) + shown(found, "information")


def test_tiny_data_has_reasons_and_no_number():
    table = made_table().groupby("patient").head(1).head(12)
    codes = {f"content_{i}": np.arange(12.0) ** (i + 1) for i in range(2)}
    embeddings = Embeddings.from_table(pd.DataFrame({"sample": table["sample"], **codes}))
    spec = AuditSpec(attributes=(Attribute(name="sex"),), draws=100, metrics=("auroc",))
    result = audit(Predictions.from_table(table, ["sex"]), spec, embeddings=embeddings)
    page = shown(result)
    assert "nothing can be said of content" in page
    assert "nan" not in page + shown(result, "information")
