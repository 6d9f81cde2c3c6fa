"""Write docs/reference from the code: `make docs` runs this, and a test fails where the pages have fallen behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_json
from typer.cli import get_docs_for_click

from cotpd.cli.app import app
from cotpd.core.config import ExperimentConfig

FOLDER = Path(__file__).parent / "reference"


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The text of each page, by file name."""
    return {"cli.md": command_line(), "configuration.md": configuration()}


def command_line() -> str:
    """Every verb with its options and examples."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="cotpd", title="The command line")
    return text.strip() + "\n"


def configuration() -> str:
    """Every key of an experiment with its default."""
    top = {name: field for name, field in ExperimentConfig.model_fields.items() if not section(field)}
    lines = ["# The configuration", "", "An experiment is one TOML file; unknown keys are errors.", *table(top)]
    for name, model in sections(ExperimentConfig):
        lines += ["", f"## `[{name}]`", "", model.__doc__ or "", *table(model.model_fields)]
    return "\n".join(lines) + "\n"


def sections(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table of a model with its dotted name, each before those inside it."""
    for name, field in model.model_fields.items():
        if inner := section(field):
            yield prefix + name, inner
            yield from sections(inner, f"{prefix}{name}.")


def section(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a table of its own."""
    model: Any = field.annotation
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def table(fields: dict[str, FieldInfo]) -> Iterator[str]:
    """A row for each key."""
    yield from ("", "| key | default | meaning |", "|---|---|---|")
    for name, field in fields.items():
        if section(field):
            continue
        meaning = " ".join((field.description or "").split())
        yield f"| `{name}` | {default_of(field)} | {meaning}{choices(field)} |"


def default_of(field: FieldInfo) -> str:
    """The default as TOML has it."""
    if field.is_required():
        return "required"
    return "none" if field.default is None else f"`{to_json(field.default).decode()}`"


def choices(field: FieldInfo) -> str:
    """The values that a key may take, where they are few and not already named."""
    values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    unnamed = [str(value) for value in values if str(value) not in (field.description or "")]
    return f" One of {', '.join(f'`{value}`' for value in values)}." if len(values) > 1 and unnamed else ""


if __name__ == "__main__":
    main()
