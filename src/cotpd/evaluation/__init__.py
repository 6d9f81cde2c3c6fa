"""Scores of predictions against gold labels, with intervals and significance tests. Needs no torch."""

from cotpd.evaluation.evaluator import Predictor, evaluate
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.significance import Comparison, compare

__all__ = ["Comparison", "Predictor", "Scores", "compare", "evaluate"]
