"""A language model in a GGUF file, run in this process by llama.cpp (``xllamacpp``)."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cotpd.core.errors import LanguageModelError, MissingExtraError
from cotpd.core.files import hash_text
from cotpd.llm.language_model import Answer, Request
from cotpd.llm.models.chat_request import to_chat
from cotpd.llm.models.completion import read_completion

_SILENT = -1
_SAMPLED = 1 << 20


class LocalModel:
    """A GGUF file as a `LanguageModel`, named by the file; close it (or use ``with``) before the process ends.

    ``threads``: of the CPU, llama.cpp's own choice when 0. ``context``: tokens of question and answer together. The
    file is loaded for the first question. Raises `MissingExtraError` without xllamacpp or the file.
    """

    most_at_once = 1

    def __init__(self, path: str | Path, *, threads: int = 0, context: int = 4096) -> None:
        self.path = Path(path)
        self._parameters: Any = _parameters(self.path, threads, context)
        self._server: Any = None
        self._is_closed = False
        self.endpoint = f"gguf:{_mark_of(self.path)}"
        """A mark of the file's size, beginning and end: another file of this name is another model."""

    @property
    def name(self) -> str:
        """The file's name without ``.gguf``."""
        return self.path.stem

    def answer(self, request: Request) -> Answer:
        """The answer; the part that a question shares with the last one is not read again. Images are not seen.

        Raises `LanguageModelError` for a file that does not load.
        """
        if self._is_closed:
            raise LanguageModelError(f"{self.name} is closed; open the model again")
        if any(message.images for message in request.messages):
            raise LanguageModelError(f"{self.name} reads text only; show pictures to a model behind an endpoint")
        if self._server is None:
            self._server = _start_server(self._parameters, self.path)
        return read_completion(self._server.handle_chat_completions(to_chat(request, model=self.name)), model=self.name)

    def close(self) -> None:
        """Stop the engine and free its memory; closing twice is fine."""
        self._server, self._is_closed = None, True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LocalModel({str(self.path)!r})"


def _parameters(path: Path, threads: int, context: int) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtraError("a local model needs xllamacpp; run: pip install 'cotpd[llm]'") from error
    if not path.is_file():
        raise MissingExtraError(f"{path}: no such model file; give the path of a .gguf file")
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.model_alias = str(path), {path.stem}
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = context, 1, False
    parameters.verbosity = _SILENT
    parameters.api_keys = [secrets.token_hex(16)]  # the engine also listens on loopback: nobody else may ask it
    if threads:
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    return parameters


def _start_server(parameters: Any, path: Path) -> Any:
    import xllamacpp

    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise LanguageModelError(f"{path}: the model does not load; is it a whole GGUF file?") from error


def _mark_of(path: Path) -> str:
    """A mark of a large file's content that takes no time: a GGUF file begins with the description of its tensors."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_SAMPLED)
        stream.seek(max(0, size - _SAMPLED))
        tail = stream.read()
    return hash_text(str(size), head.hex(), tail.hex())[:16]
