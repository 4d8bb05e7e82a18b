"""What the people behind a model state about it; the one source of every card."""

from typing import Literal

from evaluation.settings import Settings

#: What a card says where nothing was stated. No fact is ever filled in by guess.
NOT_STATED = "not stated"


class About(Settings):
    """Facts about a model that no table of predictions holds.

    Every field is optional; empty means that it is not stated. Texts may be Markdown.

    Attributes:
        name: Of the model.
        version: Of the model.
        date: Of its release.
        stage: Of its release, such as ``research`` or ``commercial``.
        developer: Person or organisation.
        contact: How to reach them.
        license: Of the model.
        citation: How to cite it, as BibTeX or text.
        summary: What it is, in two or three sentences.
        keywords: For search.
        availability: Where in the world it may be had.
        regulatory_approval: Clearances and marks.
        model_type: Architecture and how it was trained.
        foundation_models: Pretrained models that it builds on.
        input: What the model reads, and its format.
        output: What the model gives: the value and its meaning.
        output_type: Kind of the output.
        funding: Who paid for the development.
        third_parties: Who else had a part.
        stakeholders: Who was consulted.
        intended_use: Task and workflow.
        intended_users: Who uses it.
        intended_patients: Population it is for.
        decision_role: Whether it informs, augments or replaces a clinical decision.
        how_to_use: Directions.
        out_of_scope: Tasks, situations and populations to keep it away from.
        limitations: Known risks, inappropriate settings and limits.
        ethics: Known biases and ethical considerations.
        risk_level: Clinical risk class.
        training_data: Sources, time and size.
        training_criteria: Who was included and excluded.
        training_demographics: How representative the training data are, by group.
        training_relevance: How the training data relate to the place of use.
        demographic_inputs: Which of race, ethnicity, language, sexual orientation, gender
            identity, sex, date of birth, social determinants and health status it reads.
        factors: Groups, instruments and environments across which performance may differ.
        fairness_approach: What was done so that the output is fair.
        bias_mitigation: What was done to manage, reduce or remove bias.
        evaluation_data: Source, setting and time of the audited data, and why these.
        evaluation_source: Where the audited data come from, seen from the training data: the
            ``same source``, an ``external`` one, or the ``local`` site of use.
        evaluation_party: Who ran the evaluation.
        evaluation_process: How it was run.
        outcome_evaluations: References to evaluations of effects on patients.
        validity_monitoring: How and how often validity is checked in use.
        fairness_monitoring: How and how often fairness is checked in use.
        update_process: How and how often the model is updated.
        correction_schedule: How often performance is corrected when a risk is found.
        security: Measures of security.
        transparency: Measures of transparency.
        publications: Peer-reviewed.
        clinical_trial: Registration of a trial.
        reimbursement: Status.
        consent: Whether and how patients are asked or told.
        bibliography: References, as BibTeX.
    """

    name: str = ""
    version: str = ""
    date: str = ""
    stage: str = ""
    developer: str = ""
    contact: str = ""
    license: str = ""
    citation: str = ""
    summary: str = ""
    keywords: tuple[str, ...] = ()
    availability: str = ""
    regulatory_approval: str = ""
    model_type: str = ""
    foundation_models: str = ""
    input: str = ""
    output: str = ""
    output_type: Literal[
        "", "prediction", "classification", "recommendation", "evaluation", "analysis", "other"
    ] = ""
    funding: str = ""
    third_parties: str = ""
    stakeholders: str = ""
    intended_use: str = ""
    intended_users: str = ""
    intended_patients: str = ""
    decision_role: str = ""
    how_to_use: str = ""
    out_of_scope: str = ""
    limitations: str = ""
    ethics: str = ""
    risk_level: str = ""
    training_data: str = ""
    training_criteria: str = ""
    training_demographics: str = ""
    training_relevance: str = ""
    demographic_inputs: str = ""
    factors: str = ""
    fairness_approach: str = ""
    bias_mitigation: str = ""
    evaluation_data: str = ""
    evaluation_source: Literal["", "same source", "external", "local"] = ""
    evaluation_party: str = ""
    evaluation_process: str = ""
    outcome_evaluations: str = ""
    validity_monitoring: str = ""
    fairness_monitoring: str = ""
    update_process: str = ""
    correction_schedule: str = ""
    security: str = ""
    transparency: str = ""
    publications: str = ""
    clinical_trial: str = ""
    reimbursement: str = ""
    consent: str = ""
    bibliography: str = ""


def stated(text: str) -> str:
    """The text, or that nothing was stated.

    >>> stated("  "), stated("adults")
    ('not stated', 'adults')
    """
    return text.strip() or NOT_STATED
