"""Under- and overdiagnosis: healthy first, with companions and caveat."""

from evaluation.diagnosis import CAVEAT
from evaluation.section import SECTIONS
from tests.evaluation.made_groups import body, by_groups


def test_the_caveat_stands_before_the_rates():
    shown = body("diagnosis", by_groups())
    assert shown.index(CAVEAT) < shown.index("<table>")


def test_a_healthy_target_comes_first_and_is_explained():
    shown = body("diagnosis", by_groups(("mass", "no_finding")))
    assert shown.index("<h3>No finding</h3>") < shown.index("<summary>mass</summary>")
    assert "“no finding” says healthy" in shown


def test_says_who_is_most_often_missed():
    found = by_groups(("mass", "no_finding"))
    rates = {
        each.group: each.rate
        for each in found.diagnoses
        if (each.target, each.kind) == ("no_finding", "under")
    }
    assert rates["sex: male"] == max(rates.values())
    said = f"is most frequent for sex: male: {rates['sex: male']:.3f}"
    assert said in body("diagnosis", found)


def test_classes_are_no_diseases_unless_one_is_declared_healthy():
    found = by_groups(("mass", "no_finding"))
    classes = found.model_copy(update={"task": "multiclass"})
    assert "mass" not in body("diagnosis", classes)
    undeclared = found.spec.model_copy(update={"healthy": ()})
    undeclared = classes.model_copy(update={"spec": undeclared})
    assert not SECTIONS.get("diagnosis")().applies(undeclared)
