"""A language model in a GGUF file, run in this process by llama.cpp (``xllamacpp``)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cotpd.core.errors import LanguageModelError, MissingExtraError
from cotpd.llm.completion import read_completion
from cotpd.llm.language_model import Answer, Message

_SILENT = -1


class LocalModel:
    """A GGUF file as a `LanguageModel`, named by the file; close it (or use ``with``) before the process ends.

    ``threads``: of the CPU, llama.cpp's own choice when 0. ``context``: tokens of question and answer together.
    Raises `MissingExtraError` without xllamacpp or the file, `LanguageModelError` for a file that does not load.
    """

    def __init__(self, path: str | Path, *, threads: int = 0, context: int = 4096) -> None:
        self.path = Path(path)
        self._server: Any = _start_server(self.path, threads, context)

    @property
    def name(self) -> str:
        """The file's name without ``.gguf``."""
        return self.path.stem

    def answer(self, messages: Sequence[Message], *, max_tokens: int) -> Answer:
        """The most likely answer (temperature 0); the part that questions share with the last one is not read again."""
        if self._server is None:
            raise LanguageModelError(f"{self.name} is closed; open the model again")
        question = {"messages": [asdict(message) for message in messages], "temperature": 0, "max_tokens": max_tokens}
        return read_completion(self._server.handle_chat_completions(question), model=self.name)

    def close(self) -> None:
        """Stop the engine and free its memory; closing twice is fine."""
        self._server = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LocalModel({str(self.path)!r})"


def _start_server(path: Path, threads: int, context: int) -> Any:
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
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise LanguageModelError(f"{path}: the model does not load; is it a whole GGUF file?") from error
