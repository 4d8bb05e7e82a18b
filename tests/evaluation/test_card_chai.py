"""The CHAI card has the elements of the schema, in its order."""

import json
from xml.etree import ElementTree

import pytest

from evaluation.about import About
from evaluation.cards.chai import ChaiCard
from tests.evaluation.made_audit import made_audit

# Required elements, and optional ones in brackets, in the order of schema v0.2.
STRUCTURE = {
    "AppliedModelCard": "BasicInfo ReleaseInfo ModelSummary UsesAndDirections Warnings "
    "TrustIngredients KeyMetrics Resources Bibliography",
    "BasicInfo": "ModelName ModelDeveloper DeveloperContact",
    "ReleaseInfo": "ReleaseStage ReleaseDate ReleaseVersion GlobalAvailability "
    "(EHRCompatibility) (RegulatoryApproval)",
    "ModelSummary": "Summary Keywords",
    "UsesAndDirections": "IntendedUseAndWorkflow PrimaryIntendedUsers HowToUse "
    "TargetedPatientPopulation CautionedOutOfScopeSettings",
    "Warnings": "KnownRisksAndLimitations KnownBiasesOrEthicalConsiderations ClinicalRiskLevel",
    "TrustIngredients": "AISystemFacts TransparencyInformation",
    "AISystemFacts": "OutcomesAndOutputs ModelType (FoundationModels) InputDataSource "
    "OutputAndInputDataTypes DevelopmentDataCharacterization BiasMitigationApproaches "
    "OngoingMaintenance (Security) (Transparency)",
    "TransparencyInformation": "FundingSource (ThirdPartyInformation) StakeholdersConsulted",
    "KeyMetrics": "UsefulnessUsabilityEfficacy FairnessEquity SafetyReliability",
    "FairnessEquity": "MetricGoal Results Interpretation TestType TestingDataDescription "
    "ValidationProcessAndJustification",
    "MetricResult": "Label ValueJson",
    "Resources": "(EvaluationReferences) (ClinicalTrial) PeerReviewedPublications "
    "(ReimbursementStatus) PatientConsentOrDisclosure",
}
OPTIONAL = (
    "regulatory_approval",
    "foundation_models",
    "security",
    "transparency",
    "third_parties",
    "outcome_evaluations",
    "clinical_trial",
    "reimbursement",
)


@pytest.fixture(scope="module")
def plain():
    return made_audit()


def parsed(text):
    root = ElementTree.fromstring(text)
    for element in root.iter():
        namespace, _, element.tag = element.tag.partition("}")
        assert namespace == "{https://mc.chai.org/v0.2/schema.xsd"
    return root


@pytest.mark.parametrize("stated", [(), OPTIONAL])
def test_elements_and_their_order_are_those_of_the_schema(plain, stated):
    about = About(**dict.fromkeys(stated, "x"), keywords=("chest", "x-ray") if stated else ())
    root = parsed(ChaiCard().render(plain, about))
    for parent, children in STRUCTURE.items():
        required = [name for name in children.split() if name[0] != "("]
        every = [name.strip("()") for name in children.split()]
        element = root if parent == root.tag else root.find(f".//{parent}")
        names = [child.tag for child in element]
        assert [name for name in names if name in required] == required
        assert names == [name for name in every if name in names]
        assert stated or names == required
    assert len(root.findall(".//Keyword")) == (2 if stated else 0)
    assert all((leaf.text or "").strip() for leaf in root.iter() if not len(leaf)) or not stated


def test_results_have_the_published_form(plain):
    root = parsed(ChaiCard().render(plain, About()))
    first = json.loads(root.find(".//UsefulnessUsabilityEfficacy//ValueJson").text)
    found = plain.estimate("auroc")
    assert first == {
        "kind": "estimate_ci",
        "estimate": found.value,
        "lower": found.low,
        "upper": found.high,
        "level": 95.0,
    }
    labels = [each.text for each in root.findall(".//FairnessEquity//Label")]
    assert "AUROC, gap by sex" in labels


def test_what_cannot_be_computed_is_null_with_a_reason():
    root = parsed(ChaiCard().render(made_audit(attributes=()), About()))
    (value,) = root.findall(".//FairnessEquity//ValueJson")
    assert json.loads(value.text) == {"kind": "single", "value": None, "reason": "not measured"}


def test_any_text_makes_readable_xml(plain):
    about = About(name='<a href="x">& \x00 \ud7ff\x1b]]>', summary="# Title\n\n- list")
    root = parsed(ChaiCard().render(plain, about))
    assert root.find(".//ModelName").text == '<a href="x">& � \ud7ff�]]>'
    assert root.find(".//Summary").text == about.summary
