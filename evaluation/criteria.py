"""Names of the fairness criteria; no table is needed to know them."""

#: The metrics that a criterion wants to be alike in all groups.
CRITERIA: dict[str, tuple[str, ...]] = {
    "demographic parity": ("selection_rate",),
    "equal opportunity": ("true_positive_rate",),
    "predictive equality": ("false_positive_rate",),
    "equalised odds": ("true_positive_rate", "false_positive_rate"),
    "predictive parity": ("positive_predictive_value",),
}
