"""Methods by name: each is a preset of the ``[objective]`` table."""

from __future__ import annotations

from typing import Any, Literal

Method = Literal["cotpd", "ita", "text-only", "knowledge-only", "two-stage", "self-training", "r-drop"]
"""How a student is trained.

==================  =====================================================================================
``cotpd``           Joint training: the prompt-enhanced view is aligned with the knowledge-enhanced view
                    (arXiv 2306.14122).
``ita``             The plain text view is aligned with the knowledge-enhanced view, without prompts (ITA).
``text-only``       A baseline that reads the text only.
``knowledge-only``  A reader of the knowledge-enhanced view; the teacher of ``two-stage``.
``two-stage``       A text-only student learns from the recorded predictions of a ``knowledge-only`` run.
``self-training``   The same student, taught by a ``text-only`` run: a control without knowledge.
``r-drop``          The text view is aligned with itself under another dropout mask: a control that only
                    regularises.
==================  =====================================================================================
"""

TEACHER_METHODS: dict[str, Method] = {"two-stage": "knowledge-only", "self-training": "text-only"}
"""The method by which the teacher of a method is trained, for methods that have a teacher."""

_JOINT = {"task_loss": "both", "alignment": "marginals"}
_SINGLE_VIEW = {"target": "none", "task_loss": "student", "alignment": "none"}
_RECORDED = {"student": "text", "target": "recorded", "task_loss": "student", "alignment": "marginals"}

_PRESETS: dict[str, dict[str, Any]] = {
    "cotpd": {"student": "prompt", "target": "knowledge", **_JOINT},
    "ita": {"student": "text", "target": "knowledge", **_JOINT},
    "text-only": {"student": "text", **_SINGLE_VIEW},
    "knowledge-only": {"student": "knowledge", **_SINGLE_VIEW},
    "two-stage": _RECORDED,
    "self-training": _RECORDED,
    "r-drop": {"student": "text", "target": "text", **_JOINT},
}


def preset(method: str, *, has_unlabelled: bool) -> dict[str, Any]:
    """Return the values of ``[objective]`` that a method stands for; empty for an unknown name.

    Args:
        method: One of `Method`.
        has_unlabelled: Whether the training set has examples without labels. A teacher then teaches only those,
            because the labelled ones have gold labels.
    """
    values = dict(_PRESETS.get(method, {}))
    if has_unlabelled and values.get("target") == "recorded":
        values["aligned"] = "unlabelled"
    return values


def infer_method(objective: dict[str, Any]) -> Method:
    """Return the first method whose preset agrees with an objective, or ``cotpd`` if none does."""
    methods: dict[Method, dict[str, Any]] = _PRESETS  # type: ignore[assignment]
    return next((name for name, values in methods.items() if values.items() <= objective.items()), "cotpd")
