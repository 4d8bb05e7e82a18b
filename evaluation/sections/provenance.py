"""Provenance of the numbers."""

from collections.abc import Iterator

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.provenance import Provenance
from evaluation.section import Section, bullets, count, folded, joined, paragraph, table


class ProvenanceTables(Section):
    """Whether patients or images are on both sides of a split, and who chose thresholds."""

    title = "Where the numbers come from"
    place = 15

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        found = audit.provenance
        note = (
            "A model that was fitted to a patient, or to a copy of an image, looks better on "
            "that patient than on a new one. So does a threshold that was chosen on the rows "
            "that are audited. This section looks for both."
        )
        sizes = [(size.split, count(size.patients), count(size.images)) for size in found.rows]
        return joined(
            [
                paragraph(note),
                Markup("<p><strong>{}</strong></p>").format(conclusion(audit)),
                table(["Split", "Patients", "Images"], sizes),
                bullets([*found.sentences, _thresholds(audit)]),
                *_overlaps(found),
                *_copies(found),
            ]
        )


def conclusion(audit: Audit) -> str:
    """What the search came to, in a sentence."""
    found = audit.provenance
    if not found.sound:
        return "Patients or images are in more than one split: results are optimistic."
    if len(found.rows) < 2:
        return (
            "The file holds one split only, so whether the model was fitted to these patients "
            "could not be checked."
        )
    splits = " and ".join(size.split for size in found.rows)
    return f"No patient was found in two splits, of {splits}."


def _thresholds(audit: Audit) -> str:
    if audit.chosen_on_test:
        count_on_test = sum(each.chosen_on == "test" for each in audit.thresholds)
        return (
            f"Test rows chose {count_on_test} of {len(audit.thresholds)} thresholds: error "
            "rates are optimistic, and no clause about decisions can pass."
        )
    if {each.rule for each in audit.thresholds} <= {"highest score"}:
        return "No threshold was chosen: the class with the highest score is decided."
    if any(each.chosen_on == "not stated" for each in audit.thresholds):
        return (
            "Nobody stated which rows chose the thresholds. If these rows did, the error rates "
            "are optimistic."
        )
    return "No threshold was chosen on test rows, as far as the file and the settings say."


def _overlaps(found: Provenance) -> Iterator[Markup]:
    rows = [
        (
            f"{each.first} and {each.second}",
            count(each.patients),
            count(each.first_images),
            count(each.second_images),
            ", ".join(each.samples),
        )
        for each in found.overlaps
        if each.patients
    ]
    if rows:
        head = ["Splits", "Shared patients", "Images in the first", "In the second", "Such as"]
        yield table(head, rows)


def _copies(found: Provenance) -> Iterator[Markup]:
    rows = [
        (
            f"{first} = {second}" if each.kind == "exact" else f"{first} ≈ {second}",
            each.kind,
            f"different {each.across}",
        )
        for each in found.duplicates
        for first, second in each.examples
    ]
    if rows:
        body = table(["Images", "Hashes", "Found in"], rows)
        yield folded(f"{len(rows)} examples of duplicate images", body)
