"""Audit of any model's predictions: subgroup accuracy and fairness under attribute shift."""
