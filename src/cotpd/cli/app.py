"""The command ``cotpd``: its verbs, its global options and its exit codes.

Results go to stdout, progress and logs to stderr. A `CotpdError` prints one line and exits with the code of its class;
see `cotpd.core.errors`. Any other exception is reported as a bug.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from types import TracebackType
from typing import Annotated

import typer

import cotpd
from cotpd.cli.display.stderr import ConsoleHandler
from cotpd.cli.display.terminal import echo
from cotpd.cli.process import handle_signals, open_closed_streams
from cotpd.cli.verbs.asking.augment import augment
from cotpd.cli.verbs.asking.caption import caption
from cotpd.cli.verbs.asking.elicit import elicit
from cotpd.cli.verbs.asking.store import store
from cotpd.cli.verbs.corpus.check import check
from cotpd.cli.verbs.corpus.convert import convert
from cotpd.cli.verbs.corpus.show import show
from cotpd.cli.verbs.runs.demo import demo
from cotpd.cli.verbs.runs.diagnose import diagnose
from cotpd.cli.verbs.runs.distill import distill
from cotpd.cli.verbs.runs.doctor import doctor
from cotpd.cli.verbs.runs.evaluate import evaluate
from cotpd.cli.verbs.runs.extract import extract
from cotpd.cli.verbs.runs.study import study
from cotpd.core.errors import CotpdError, MissingExtraError
from cotpd.core.files import DISK_FULL

app = typer.Typer(name="cotpd", add_completion=False, invoke_without_command=True, rich_markup_mode="markdown")
for verb in (
    augment,
    caption,
    check,
    convert,
    demo,
    diagnose,
    distill,
    doctor,
    elicit,
    evaluate,
    extract,
    show,
    store,
    study,
):
    app.command()(verb)

_log = logging.getLogger("cotpd")

_EXTRAS = {
    **dict.fromkeys(("accelerate", "huggingface_hub", "jinja2", "safetensors", "torch", "transformers"), "train"),
    **dict.fromkeys(("httpcore2", "httpx2", "xllamacpp"), "llm"),
    "PIL": "captions",
    **dict.fromkeys(("datasets", "spacy"), "formats"),
}
"""The extra that installs each optional package."""


def main() -> None:
    """Run the command line and exit.

    Exit codes: 0 for success, 1 to 6 for an error (see `cotpd.core.errors`), 130 after SIGINT, 143 after SIGTERM.
    """
    open_closed_streams()
    handle_signals()
    sys.excepthook = _report_bug
    if isinstance(sys.stdout, io.TextIOWrapper):  # a latin-1 terminal shows other characters as \uXXXX
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = typer.main.get_command(app)(_move_debug_first(sys.argv[1:]), "cotpd", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_stdout()
        code = 1
    except ModuleNotFoundError as error:
        code = _report(_missing_extra(error))
    except (CotpdError, typer.TyperException, OSError) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL and not error.filename:
            _discard_stdout()  # which failed, and would fail again at the end of the process
        code = _report(error)
    sys.exit(code if isinstance(code, int) else 0)


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Train with images and the knowledge of a language model; extract entities and relations from text only."""
    _log_to_stderr(logging.DEBUG if debug else logging.INFO)
    if not debug:
        _silence_libraries()
    if version:
        echo(f"cotpd {cotpd.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _discard_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _move_debug_first(arguments: list[str]) -> list[str]:
    """Move ``--debug`` to the front, because a global option must precede the verb."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return sorted(arguments[:end], key=lambda word: word != "--debug") + arguments[end:]


def _log_to_stderr(level: int) -> None:
    _log.handlers = [ConsoleHandler()]
    _log.setLevel(level)


def _silence_libraries() -> None:
    """Keep the warnings of libraries off stderr, where an error is one line. The libraries are loaded later."""
    for name in ("HF_HUB_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(name, "error")


def _report(error: CotpdError | typer.TyperException | OSError) -> int:
    _log.debug("", exc_info=error)
    echo(f"error: {_message(error)}", err=True)
    return getattr(error, "exit_code", 1)


def _message(error: CotpdError | typer.TyperException | OSError) -> str:
    if isinstance(error, typer.TyperException):
        return str(error.format_message())
    if isinstance(error, OSError) and error.errno in DISK_FULL and not error.filename:
        return f"stdout: {error.strerror}; free some space and run the command again"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _missing_extra(error: ModuleNotFoundError) -> MissingExtraError:
    package = (error.name or "").partition(".")[0]
    if package not in _EXTRAS:
        raise error
    missing = MissingExtraError(f"{package} is not installed; run: pip install 'cotpd[{_EXTRAS[package]}]'")
    return missing.with_traceback(error.__traceback__)


def _report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.debug("", exc_info=(kind, error, trace))
    hint = "run the command with --debug and report the traceback"
    echo(f"error: a bug in cotpd ({kind.__name__}: {error}); {hint}", err=True)
