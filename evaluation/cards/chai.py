"""The Applied Model Card of the Coalition for Health AI, as XML."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import ClassVar, TypeAlias
from xml.etree import ElementTree

import numpy as np

from evaluation.about import NOT_STATED, About, stated
from evaluation.audit import Audit
from evaluation.card import (
    Card,
    Measured,
    audited_data,
    cautions,
    decided,
    labelled,
    method,
    required,
)

_NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"
# Everything that XML 1.0 does not allow, however it is escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Content: TypeAlias = "str | Sequence[tuple[str, Content]]"
Result: TypeAlias = tuple[str, dict[str, object]]


class ChaiCard(Card):
    """Applied Model Card, schema version 0.2.

    Required elements that nobody stated say "not stated"; optional ones are left out. Texts may
    be Markdown. Overall estimates are the results on usefulness, gaps those on fairness, worst
    groups those on safety; a number that is undefined is null, with its reason.

    References:
        Coalition for Health AI, *Applied Model Card*, schema v0.2, https://mc.chai.org.
    """

    filename: ClassVar[str] = "chai_applied_model_card.xml"

    def render(self, audit: Audit, about: About) -> str:
        """The card as an XML document."""
        root = ElementTree.Element(_tag("AppliedModelCard"))
        _fill(root, _card(audit, about))
        ElementTree.indent(root)
        text = ElementTree.tostring(root, "unicode", default_namespace=_NAMESPACE)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _card(audit: Audit, about: About) -> Content:
    return [
        (
            "BasicInfo",
            [
                ("ModelName", stated(about.name)),
                ("ModelDeveloper", stated(about.developer)),
                ("DeveloperContact", stated(about.contact)),
            ],
        ),
        (
            "ReleaseInfo",
            [
                ("ReleaseStage", stated(about.stage)),
                ("ReleaseDate", stated(about.date)),
                ("ReleaseVersion", stated(about.version)),
                ("GlobalAvailability", stated(about.availability)),
                *_optional("RegulatoryApproval", about.regulatory_approval),
            ],
        ),
        (
            "ModelSummary",
            [
                ("Summary", stated(about.summary)),
                ("Keywords", [("Keyword", word) for word in about.keywords]),
            ],
        ),
        *_use(audit, about),
        ("TrustIngredients", _trust(about)),
        ("KeyMetrics", _metrics(audit, about)),
        (
            "Resources",
            [
                *_optional("EvaluationReferences", about.outcome_evaluations),
                *_optional("ClinicalTrial", about.clinical_trial),
                ("PeerReviewedPublications", stated(about.publications)),
                *_optional("ReimbursementStatus", about.reimbursement),
                ("PatientConsentOrDisclosure", stated(about.consent)),
            ],
        ),
        ("Bibliography", stated(about.bibliography)),
    ]


def _use(audit: Audit, about: About) -> Iterator[tuple[str, Content]]:
    yield (
        "UsesAndDirections",
        [
            ("IntendedUseAndWorkflow", stated(about.intended_use)),
            ("PrimaryIntendedUsers", stated(about.intended_users)),
            ("HowToUse", stated(about.how_to_use)),
            ("TargetedPatientPopulation", stated(about.intended_patients)),
            ("CautionedOutOfScopeSettings", stated(about.out_of_scope)),
        ],
    )
    limits = [stated(about.limitations), *cautions(audit)]
    yield (
        "Warnings",
        [
            ("KnownRisksAndLimitations", "\n\n".join(limits)),
            ("KnownBiasesOrEthicalConsiderations", stated(about.ethics)),
            ("ClinicalRiskLevel", stated(about.risk_level)),
        ],
    )


def _trust(about: About) -> Content:
    maintenance = (about.update_process, about.validity_monitoring, about.fairness_monitoring)
    data = (about.training_data, about.training_criteria, about.training_demographics)
    return [
        (
            "AISystemFacts",
            [
                ("OutcomesAndOutputs", stated(about.output)),
                ("ModelType", stated(about.model_type)),
                *_optional("FoundationModels", about.foundation_models),
                ("InputDataSource", stated(about.training_data)),
                ("OutputAndInputDataTypes", _all_of(about.input, about.output_type)),
                ("DevelopmentDataCharacterization", _all_of(*data)),
                (
                    "BiasMitigationApproaches",
                    _all_of(about.fairness_approach, about.bias_mitigation),
                ),
                ("OngoingMaintenance", _all_of(*maintenance, about.correction_schedule)),
                *_optional("Security", about.security),
                *_optional("Transparency", about.transparency),
            ],
        ),
        (
            "TransparencyInformation",
            [
                ("FundingSource", stated(about.funding)),
                *_optional("ThirdPartyInformation", about.third_parties),
                ("StakeholdersConsulted", stated(about.stakeholders)),
            ],
        ),
    ]


def _metrics(audit: Audit, about: About) -> Content:
    measured = Measured(audit)
    level = 100 * audit.spec.confidence
    overall = [
        (labelled(each), _value(each.value, each.low, each.high, level, each.reason))
        for each in measured.overall
    ]
    gaps = [
        (
            f"{labelled(gap)}, gap by {gap.attributes[0]}",
            _value(gap.value, gap.low, gap.high, level, gap.reason),
        )
        for gap in measured.gaps
    ]
    worst = [
        (
            f"{labelled(gap)}, worst group by {gap.attributes[0]}"
            + (f" ({gap.worst})" if gap.worst else ""),
            _value(gap.worst_value, gap.worst_low, gap.worst_high, level, gap.reason),
        )
        for gap in measured.gaps
    ]
    sections = {
        "UsefulnessUsabilityEfficacy": overall,
        "FairnessEquity": gaps,
        "SafetyReliability": worst,
    }
    return [(name, _section(audit, about, results)) for name, results in sections.items()]


def _section(audit: Audit, about: About, results: list[Result]) -> Content:
    none = [(NOT_STATED, _value(np.nan, np.nan, np.nan, 0, "not measured"))]
    return [
        ("MetricGoal", stated(required(audit))),
        (
            "Results",
            [
                ("MetricResult", [("Label", label), ("ValueJson", json.dumps(value))])
                for label, value in results or none
            ],
        ),
        ("Interpretation", stated(decided(audit))),
        ("TestType", f"Data, seen from the training data: {stated(about.evaluation_source)}."),
        ("TestingDataDescription", f"{stated(about.evaluation_data)}\n\n{audited_data(audit)}"),
        (
            "ValidationProcessAndJustification",
            f"{stated(about.evaluation_process)}\n\n{method(audit)}",
        ),
    ]


def _value(
    value: float, low: float, high: float, level: float, reason: str
) -> dict[str, object]:
    """A number in the form of the card's published examples."""
    why = {"reason": reason} if reason else {}
    if np.isnan([value, low, high]).any():
        return {"kind": "single", "value": None if np.isnan(value) else value, **why}
    ends = {"estimate": value, "lower": low, "upper": high, "level": level}
    return {"kind": "estimate_ci", **ends, **why}


def _all_of(*texts: str) -> str:
    return stated("\n\n".join(filter(None, texts)))


def _optional(name: str, text: str) -> list[tuple[str, Content]]:
    return [(name, text)] if text else []


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"


def _fill(parent: ElementTree.Element, content: Content) -> None:
    if isinstance(content, str):
        parent.text = _FORBIDDEN.sub("\ufffd", content)
        return
    for name, inner in content:
        _fill(ElementTree.SubElement(parent, _tag(name)), inner)
