"""CoTPD: learn from images and a language model's knowledge, extract entities and relations from text alone.

The public names are listed below and imported on first use, so that ``import cotpd`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cotpd.core.config import ExperimentConfig
    from cotpd.core.errors import CotpdError
    from cotpd.core.methods import Method
    from cotpd.core.records import (
        Caption,
        Entity,
        Example,
        Grain,
        Knowledge,
        Prediction,
        Relation,
        Span,
        TargetSentiment,
    )
    from cotpd.corpus.corpus import Corpus
    from cotpd.distillation.recipe import distill
    from cotpd.distillation.runs.corpora import read_corpus
    from cotpd.distillation.runs.run_evaluation import evaluate_run
    from cotpd.distillation.showcase.example_report import show_example
    from cotpd.evaluation import compare, evaluate
    from cotpd.inference.extractor import Extractor
    from cotpd.inference.extractors import load_extractor
    from cotpd.inference.marked_text import MarkedText
    from cotpd.inference.relation_extractor import RelationExtractor
    from cotpd.inference.sentiment_extractor import SentimentExtractor
    from cotpd.knowledge.elicitation import elicit
    from cotpd.llm.models.chat_model import ChatModel
    from cotpd.llm.models.local_model import LocalModel

__version__ = "0.1.0"

__all__ = [
    "Caption",
    "ChatModel",
    "Corpus",
    "CotpdError",
    "Entity",
    "Example",
    "ExperimentConfig",
    "Extractor",
    "Grain",
    "Knowledge",
    "LocalModel",
    "MarkedText",
    "Method",
    "Prediction",
    "Relation",
    "RelationExtractor",
    "SentimentExtractor",
    "Span",
    "TargetSentiment",
    "compare",
    "distill",
    "elicit",
    "evaluate",
    "evaluate_run",
    "load_extractor",
    "read_corpus",
    "show_example",
]

_RECORDS = "cotpd.core.records"
_HOMES = {
    "Caption": _RECORDS,
    "ChatModel": "cotpd.llm.models.chat_model",
    "Corpus": "cotpd.corpus.corpus",
    "CotpdError": "cotpd.core.errors",
    "Entity": _RECORDS,
    "Example": _RECORDS,
    "ExperimentConfig": "cotpd.core.config",
    "Extractor": "cotpd.inference.extractor",
    "Grain": _RECORDS,
    "Knowledge": _RECORDS,
    "LocalModel": "cotpd.llm.models.local_model",
    "MarkedText": "cotpd.inference.marked_text",
    "Method": "cotpd.core.methods",
    "Prediction": _RECORDS,
    "Relation": _RECORDS,
    "RelationExtractor": "cotpd.inference.relation_extractor",
    "SentimentExtractor": "cotpd.inference.sentiment_extractor",
    "Span": _RECORDS,
    "TargetSentiment": _RECORDS,
    "compare": "cotpd.evaluation",
    "distill": "cotpd.distillation.recipe",
    "elicit": "cotpd.knowledge.elicitation",
    "evaluate": "cotpd.evaluation",
    "evaluate_run": "cotpd.distillation.runs.run_evaluation",
    "load_extractor": "cotpd.inference.extractors",
    "read_corpus": "cotpd.distillation.runs.corpora",
    "show_example": "cotpd.distillation.showcase.example_report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cotpd' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
