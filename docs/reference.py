"""Write the generated pages of docs/reference from the code: command line, configuration and Python API.

`make docs` runs this program, and a test fails if a page is out of date.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_json
from typer.cli import get_docs_for_click

import cotpd
from cotpd.cli.app import app
from cotpd.core.config import ExperimentConfig

FOLDER = Path(__file__).parent / "reference"
SECTIONS = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Raises": "Raises",
    "Returns": "Returns",
    "Yields": "Yields",
}
"""The sections of a Google style docstring, with their titles on the page."""
NAMED = {"Args", "Attributes", "Raises"}
"""Sections whose entries begin with a name."""
WIDTH = 110
"""Signatures longer than this have one parameter per line."""


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return the text of each generated page by file name."""
    return {"cli.md": command_line(), "configuration.md": configuration(), "python-api.md": python_api()}


def command_line() -> str:
    """Return the page of every command with its options and examples."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="cotpd", title="The command line")
    return text.strip() + "\n"


def configuration() -> str:
    """Return the page of every configuration key with its default."""
    top = {name: field for name, field in ExperimentConfig.model_fields.items() if not section_model(field)}
    lines = [
        "# Configuration",
        "",
        "A run is configured by one TOML file. Unknown keys are errors. `--set section.key=value` changes single keys.",
        *key_table(top),
    ]
    for name, model in section_models(ExperimentConfig):
        lines += ["", f"## `[{name}]`", "", inspect.getdoc(model) or "", *key_table(model.model_fields)]
    return "\n".join(lines) + "\n"


def section_models(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every table of a model with its dotted name, each before the tables inside it."""
    for name, field in model.model_fields.items():
        if inner := section_model(field):
            yield prefix + name, inner
            yield from section_models(inner, f"{prefix}{name}.")


def section_model(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a table, also an optional one."""
    candidates = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def key_table(fields: dict[str, FieldInfo]) -> Iterator[str]:
    """Yield the rows of a Markdown table with one row per key."""
    yield from ("", "| key | default | meaning |", "|---|---|---|")
    for name, field in fields.items():
        if not section_model(field):
            meaning = " ".join((field.description or "").split())
            yield f"| `{name}` | {default_of(field)} | {meaning}{choices(field)} |"


def default_of(field: FieldInfo) -> str:
    """Return the default value as TOML writes it."""
    if field.is_required():
        return "required"
    return "none" if field.default is None else f"`{to_json(field.default).decode()}`"


def choices(field: FieldInfo) -> str:
    """Return a sentence with the allowed values, unless the description names them."""
    values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    unnamed = [str(value) for value in values if str(value) not in (field.description or "")]
    return f" One of {', '.join(f'`{value}`' for value in values)}." if len(values) > 1 and unnamed else ""


def python_api() -> str:
    """Return the page of every public name of the package with its signature and docstring."""
    names = ", ".join(f"[`{name}`](#{name.lower()})" for name in cotpd.__all__)
    parts = [
        "# Python API",
        "The public names of the package `cotpd`. Everything else may change without notice.",
        names,
    ]
    for name in cotpd.__all__:
        parts += [f"## `{name}`", *describe(name, getattr(cotpd, name))]
        parts += members(name, getattr(cotpd, name))
    return "\n\n".join(part for part in parts if part) + "\n"


def members(owner: str, value: Any) -> Iterator[str]:
    """Yield the documentation of the public methods and properties of a class, in alphabetical order."""
    if not inspect.isclass(value):
        return
    for name, member in sorted(public_members(value).items()):
        if inspect.getdoc(member):
            yield f"### `{owner}.{name}`"
            yield from describe(name, member)


def public_members(kind: type) -> dict[str, Any]:
    """Return the methods and properties that a class and its bases in this package define."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("cotpd."):
            found |= {name: member for name, member in vars(base).items() if name[0] != "_" and is_documented(member)}
    return found


def is_documented(member: Any) -> bool:
    """Return True for functions, methods and properties; fields are in the signature of their class."""
    return inspect.isfunction(member) or isinstance(member, (classmethod, staticmethod, property))


def describe(name: str, value: Any) -> Iterator[str]:
    """Yield the signature and the docstring of a function, class or property, or the values of a type alias."""
    if get_origin(value) is Literal:
        yield f"One of {', '.join(f'`{each}`' for each in get_args(value))}."
        return
    if signature := signature_of(name, value):
        yield f"```python\n{signature}\n```"
    yield from markdown_of(inspect.getdoc(value) or "")


def signature_of(name: str, value: Any) -> str:
    """Return the call signature as source code; empty for properties, exceptions, enums and configuration tables."""
    if isinstance(value, property) or (inspect.isclass(value) and issubclass(value, (BaseModel, Exception, Enum))):
        return ""
    function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
    signature = inspect.signature(function)
    result = f" -> {annotation_of(signature.return_annotation)}" if inspect.isroutine(function) else ""
    parameters = list(parameters_of(signature))
    line = f"{name}({', '.join(parameters)}){result}"
    return (
        line if len(line) <= WIDTH else f"{name}(\n" + "".join(f"    {each},\n" for each in parameters) + f"){result}"
    )


def parameters_of(signature: inspect.Signature) -> Iterator[str]:
    """Yield the source of each parameter, with the star before keyword-only ones."""
    stars = False
    for parameter in signature.parameters.values():
        if parameter.name in {"self", "cls"}:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not stars:
            stars = True
            yield "*"
        stars = stars or parameter.kind is parameter.VAR_POSITIONAL
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        annotation = annotation_of(parameter.annotation)
        typed = f"{prefix}{parameter.name}: {annotation}" if annotation else f"{prefix}{parameter.name}"
        yield typed if parameter.default is parameter.empty else f"{typed} = {source_of(parameter.default)}"


def annotation_of(annotation: Any) -> str:
    """Return an annotation as source code, empty if there is none."""
    if annotation is inspect.Signature.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def source_of(default: Any) -> str:
    """Return a default value as source code, `...` if it has none."""
    if isinstance(default, Enum):
        return str(default) if not isinstance(default, str) else f"{type(default).__name__}.{default.name}"
    text = repr(default)
    return "..." if text.startswith("<") else text


def markdown_of(doc: str) -> Iterator[str]:
    """Yield the parts of a Google style docstring as Markdown."""
    for block in re.split(r"\n\n(?=\S)", doc.replace("``", "`")):
        title, _, body = block.partition(":\n")
        if title in SECTIONS:
            yield f"**{SECTIONS[title]}**"
            yield "\n".join(entries(title, textwrap.dedent(body)))
        elif title in {"Example", "Examples"}:
            yield "**Example**"
            yield f"```python\n{textwrap.dedent(body).strip()}\n```"
        else:
            yield block


def entries(title: str, body: str) -> Iterator[str]:
    """Yield a list item for each entry of a section."""
    for entry in re.split(r"\n(?=\S)", body) if title in NAMED else [body]:
        text = " ".join(entry.split())
        name, colon, meaning = text.partition(": ")
        yield f"- `{name}`: {meaning}" if colon and title in NAMED else f"- {text}"


if __name__ == "__main__":
    main()
