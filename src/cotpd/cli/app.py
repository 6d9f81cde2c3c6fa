"""The command ``cotpd``: its verbs, its global options and its exit codes.

Results go to stdout, progress and logs to stderr. A `CotpdError` prints one line and exits with the code of its class;
see `cotpd.core.errors`. Any other exception is reported as a bug.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Annotated

import typer

import cotpd
from cotpd.cli.display.terminal import printable
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
    **dict.fromkeys(("httpx2", "openai", "xllamacpp"), "llm"),
    "PIL": "captions",
    **dict.fromkeys(("datasets", "spacy"), "formats"),
}
"""The extra that installs each optional package."""


def main() -> None:
    """Run the command line and exit.

    Exit codes: 0 for success, 1 to 6 for an error (see `cotpd.core.errors`), 130 after SIGINT, 143 after SIGTERM.
    """
    signal.signal(signal.SIGTERM, _terminate)
    sys.excepthook = _report_bug
    if sys.stdout is None:  # the shell closed it: `cotpd check data >&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    elif isinstance(sys.stdout, io.TextIOWrapper):  # a latin-1 terminal shows other characters as \uXXXX
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = typer.main.get_command(app)(_move_debug_first(sys.argv[1:]), "cotpd", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except ModuleNotFoundError as error:
        code = _report(_missing_extra(error))
    except (CotpdError, typer.TyperException, OSError) as error:
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
        print(f"cotpd {cotpd.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def _move_debug_first(arguments: list[str]) -> list[str]:
    """Move ``--debug`` to the front, because a global option must precede the verb."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return sorted(arguments[:end], key=lambda word: word != "--debug") + arguments[end:]


def _log_to_stderr(level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrintableFormatter("%(message)s"))
    _log.handlers = [handler]
    _log.setLevel(level)


class _PrintableFormatter(logging.Formatter):
    """Replaces control characters, because messages quote text of others, such as the error message of an endpoint."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, with its traceback if it has one."""
        return printable(super().format(record))


def _silence_libraries() -> None:
    """Keep the warnings of libraries off stderr, where an error is one line. The libraries are loaded later."""
    for name in ("HF_HUB_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(name, "error")


def _report(error: CotpdError | typer.TyperException | OSError) -> int:
    _log.debug("", exc_info=error)
    print(f"error: {printable(_message(error))}", file=sys.stderr)
    return getattr(error, "exit_code", 1)


def _message(error: CotpdError | typer.TyperException | OSError) -> str:
    if isinstance(error, typer.TyperException):
        return str(error.format_message())
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
    print(f"error: a bug in cotpd ({kind.__name__}: {error}); {hint}", file=sys.stderr)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
