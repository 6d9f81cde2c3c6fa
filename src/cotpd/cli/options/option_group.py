"""Define options that several verbs share as the fields of a dataclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from inspect import Parameter
from typing import Any, get_type_hints


def with_groups(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a command that has one option for each field of the dataclasses among the parameters of ``verb``.

    The fields carry the same annotations as other parameters of a verb. The command calls ``verb`` with instances of
    the dataclasses.
    """
    kinds = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in kinds.items() if is_dataclass(kind)}

    @wraps(verb)
    def command(**options: Any) -> None:
        for name, kind in groups.items():
            options[name] = kind(**{field.name: options.pop(field.name) for field in fields(kind)})
        verb(**options)

    declared = inspect.signature(verb).parameters.values()
    parameters = [each for parameter in declared for each in _expand(parameter, kinds[parameter.name])]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _expand(parameter: Parameter, kind: Any) -> Iterator[Parameter]:
    """Yield one parameter for each field of a dataclass, or the parameter itself."""
    if not is_dataclass(kind):
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=kind)
        return
    kinds = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=_default(field), annotation=kinds[field.name])


def _default(field: Field[Any]) -> Any:
    return Parameter.empty if field.default is MISSING else field.default
