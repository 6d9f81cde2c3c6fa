"""Any predictor against gold: what matches, how well, and how sure that is. No torch."""

from cotpd.evaluation.evaluator import Predictor, evaluate
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.statistics.significance import Comparison, compare

__all__ = ["Comparison", "Predictor", "Scores", "compare", "evaluate"]
