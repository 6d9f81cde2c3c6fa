"""Options that several verbs share: the fields of a dataclass, each an option of its own on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from inspect import Parameter
from typing import Any, get_type_hints


def with_groups(verb: Callable[..., None]) -> Callable[..., None]:
    """Let each dataclass among a verb's parameters stand for its fields, where it stands.

    Its fields are annotated as parameters of a verb are; the verb gets the dataclass.
    """
    kinds = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in kinds.items() if is_dataclass(kind)}

    @wraps(verb)
    def command(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        verb(**given)

    own = inspect.signature(verb).parameters.values()
    parameters = [each for parameter in own for each in _expanded(parameter, kinds[parameter.name])]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _expanded(parameter: Parameter, kind: Any) -> Iterator[Parameter]:
    """The parameters that one stands for."""
    if not is_dataclass(kind):
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=kind)
        return
    kinds = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=_default(field), annotation=kinds[field.name])


def _default(field: Field[Any]) -> Any:
    return Parameter.empty if field.default is MISSING else field.default
