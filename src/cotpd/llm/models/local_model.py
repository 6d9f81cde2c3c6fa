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
from cotpd.llm.models.completion import ResponseContext, read_completion

_SILENT = -1
_FINGERPRINTED_BYTES = 1 << 20
"""At the beginning and at the end of the file."""


class LocalModel:
    """A language model in a GGUF file, loaded for the first question.

    Close it, or use it in a ``with`` statement, before the process ends.

    Args:
        path: The ``.gguf`` file.
        threads: CPU threads; 0 leaves the number to llama.cpp.
        context: Maximum number of tokens of a question and its answer together.

    Raises:
        MissingExtraError: If xllamacpp is not installed or the file does not exist.
    """

    max_concurrency = 1

    def __init__(self, path: str | Path, *, threads: int = 0, context: int = 4096) -> None:
        self.path = Path(path)
        self._parameters: Any = _parameters(self.path, threads, context)
        self._server: Any = None
        self._is_closed = False
        self.endpoint = f"gguf:{_fingerprint(self.path)}"
        """``gguf:`` and a fingerprint of the file, because another file of the same name is another model."""

    @property
    def name(self) -> str:
        """The file name without ``.gguf``."""
        return self.path.stem

    def answer(self, request: Request) -> Answer:
        """Answer one request. A prefix shared with the previous question is not processed again.

        Raises:
            LanguageModelError: If the request has images, the file cannot be loaded, or the model is closed.
        """
        if self._is_closed:
            raise LanguageModelError(f"{self.name} is closed; create a new LocalModel")
        if any(message.images for message in request.messages):
            raise LanguageModelError(f"{self.name} accepts text only; send images to a vision model behind an endpoint")
        if self._server is None:
            self._server = _start_server(self._parameters, self.path)
        completion = self._server.handle_chat_completions(to_chat(request, model=self.name))
        return read_completion(completion, ResponseContext(self.name))

    def close(self) -> None:
        """Stop the engine and free its memory. A second call has no effect."""
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
        raise MissingExtraError("LocalModel needs the xllamacpp package; run: pip install 'cotpd[llm]'") from error
    if not path.is_file():
        raise MissingExtraError(f"{path}: no such model file; give the path of a .gguf file")
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.model_alias = str(path), {path.stem}
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = context, 1, False
    parameters.verbosity = _SILENT
    parameters.api_keys = [secrets.token_hex(16)]  # the engine listens on loopback; this keeps other processes out
    if threads:
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    return parameters


def _start_server(parameters: Any, path: Path) -> Any:
    import xllamacpp

    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise LanguageModelError(
            f"{path}: the model cannot be loaded; check that it is a complete GGUF file"
        ) from error


def _fingerprint(path: Path) -> str:
    """Hash the size, the beginning and the end of a file. The beginning of a GGUF file describes all its tensors."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_FINGERPRINTED_BYTES)
        stream.seek(max(0, size - _FINGERPRINTED_BYTES))
        tail = stream.read()
    return hash_text(str(size), head.hex(), tail.hex())[:16]
