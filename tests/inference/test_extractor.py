"""The extractor: text in, exact offsets out, from a directory and with nothing but text."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.errors import CheckpointError, MissingExtraError, UsageError
from cotpd.core.records import Example, Grain, Knowledge
from cotpd.inference.decoding import decode
from cotpd.inference.extractor import Extraction, Extractor, Mention
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

TEXTS = [
    "RT @jk_rowling: it's #Glastonbury!!",
    "",
    "   ",
    "Cafe\u0301 in Zu\u0308rich 👩\u200d🚀 ⚾\ufe0f no\xa0break\u2028line",
    "a",
]


@pytest.fixture(scope="module")
def model(student: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "model"
    Extractor(student).save_pretrained(path)
    return path


def test_mentions_are_slices_of_the_text(student: Student) -> None:
    found = Extractor(student)(TEXTS)
    assert [extraction.text for extraction in found] == TEXTS
    mentions = [(extraction, mention) for extraction in found for mention in extraction.entities]
    assert len(mentions) > 3
    for extraction, mention in mentions:
        assert mention.word == extraction.text[mention.start : mention.end]
        assert mention.word == mention.word.strip() != ""
        assert 0.0 < mention.score <= 1.0
        assert mention.entity_group in ("LOC", "ORG", "PER")


def test_a_view_can_be_selected_by_its_name(student: Student) -> None:
    """Otherwise the view `knowledge` would silently read only the text."""
    knowledge = (Knowledge(Grain.NOUN, "Lusail: a city in Qatar", example_id="1"),)
    post, extractor = Example("1", ("Messi", "in", "Lusail"), knowledge=knowledge), Extractor(student)
    found = {kind: list(extractor.predict([post], kind=kind)) for kind in ViewKind}
    assert {kind: list(extractor.predict([post], kind=kind.value)) for kind in ViewKind} == found
    assert len({str(predictions) for predictions in found.values()}) == 3
    assert list(decode(student, [post], kind="knowledge")) == found[ViewKind.KNOWLEDGE]  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown view 'knwoledge'; choose one of text, knowledge, prompt"):
        extractor.predict([post], kind="knwoledge")


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters() | st.sampled_from("\ud83d\udc4d\u200d\ufe0f\u0301\x00"), max_size=40))
def test_any_string_can_be_extracted_from(student: Student, text: str) -> None:
    """Tokenizers reject or drop lone surrogates, NUL, control characters and bidi marks."""
    extraction = Extractor(student)(text)
    assert extraction.text == text
    for mention in extraction.entities:
        assert mention.word == text[mention.start : mention.end]
    json.dumps(extraction.to_dict())


def test_output_has_the_schema_of_the_transformers_pipeline() -> None:
    mention = Mention("PER", 0.9, "Messi", 0, 5)
    assert Extraction("Messi!", (mention,)).to_dict() == {
        "text": "Messi!",
        "entities": [{"entity_group": "PER", "score": 0.9, "word": "Messi", "start": 0, "end": 5}],
    }


def test_scores_are_python_floats(student: Student) -> None:
    assert all(type(mention.score) is float for mention in Extractor(student)(TEXTS[0]).entities)


def test_one_text_gives_one_extraction_and_several_a_list(student: Student) -> None:
    extractor = Extractor(student, batch_size=2)
    together = extractor(TEXTS)
    assert list(extractor.stream(iter(TEXTS))) == together
    assert [rounded(extractor(text)) for text in TEXTS] == [rounded(extraction) for extraction in together]
    assert extractor([]) == []


def rounded(extraction: Extraction) -> list[tuple[str, int, int, float]]:
    """Return the entities with a tolerance for their scores, because sums in another order differ."""
    return [(each.entity_group, each.start, each.end, round(each.score, 4)) for each in extraction.entities]


def test_long_text_is_not_truncated(student: Student) -> None:
    text = "lorem ipsum dolor " * 1_000
    assert Extractor(student)(text).entities[-1].end > 17_000


@pytest.mark.parametrize(
    "wrong",
    [b"bytes", 1, None, {"text": "a"}, ["a", b"b"], [1], Example("1", ("a",)), [Example("1", ("a",))], iter("ab")],
)
def test_other_types_than_text_are_a_type_error(student: Student, wrong: Any) -> None:
    with pytest.raises(TypeError, match="expected str"):
        Extractor(student)(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"batch_size": -1}, "got -1"),
        ({"batch_size": 2.5}, r"got 2\.5"),
        ({"precision": "float16"}, "precision must be one of auto, float32, bfloat16, got 'float16'"),
    ],
)
def test_invalid_options_are_a_usage_error(student: Student, options: dict[str, Any], message: str) -> None:
    """Otherwise an unknown precision would silently mean float32."""
    with pytest.raises(UsageError, match=message):
        Extractor(student, **options)


def test_an_extractor_can_be_pickled(student: Student) -> None:
    """Multiprocessing pickles the extractor."""
    extractor = Extractor(student, batch_size=3)
    expected = extractor(TEXTS)
    restored = pickle.loads(pickle.dumps(extractor))  # noqa: S301
    assert restored(TEXTS) == expected
    assert restored.batch_size == 3


def test_a_saved_model_predicts_the_same_after_loading(student: Student, model: Path) -> None:
    expected = Extractor(student)(TEXTS)
    assert Extractor.from_pretrained(model, device="cpu")(TEXTS) == expected
    assert Extractor.from_pretrained(str(model.parent), device="cpu")(TEXTS) == expected
    with pytest.raises(UsageError, match="never overwritten"):
        Extractor(student).save_pretrained(model)


def test_a_path_without_a_model_is_a_checkpoint_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", "no-such-run", "./a/b", "a/b/c"):
        with pytest.raises(CheckpointError, match="no model here"):
            Extractor.from_pretrained(path)
    (tmp_path / "config.toml").write_text("seed = 1\n")
    with pytest.raises(CheckpointError, match="not finished"):
        Extractor.from_pretrained(tmp_path)


def test_a_hub_name_is_downloaded(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def snapshot_download(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    extractor = Extractor.from_pretrained("someone/ner", revision="v1", token="t", cache_dir=tmp_path)
    assert isinstance(extractor, Extractor)
    assert (asked["name"], asked["revision"], asked["token"], asked["cache_dir"]) == (
        "someone/ner",
        "v1",
        "t",
        tmp_path,
    )
    assert "*.bin" not in asked["allow_patterns"]
    assert not asked.get("local_files_only")


def test_an_unreachable_hub_is_a_missing_extra_error(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="nobody/nothing: not a directory, and not available from the"):
        Extractor.from_pretrained("nobody/nothing", cache_dir=tmp_path, local_files_only=True)


def test_an_unavailable_device_is_a_missing_extra_error(model: Path) -> None:
    with pytest.raises(MissingExtraError, match="the device 'nonsense' is not available"):
        Extractor.from_pretrained(model, device="nonsense")


def test_words_of_examples_are_not_split_again(student: Student) -> None:
    examples = [Example("1", ("new york", "is", "big")), Example("2", ())]
    found: Iterator[Any] = Extractor(student).predict(examples)
    assert [(prediction.id, prediction.words) for prediction in found] == [("1", ("new york", "is", "big")), ("2", ())]


ALONE = """
import socket, sys

class Refused(OSError): pass

class NoSocket(socket.socket):
    def __init__(self, *_, **__): raise Refused("a socket was opened")

for name in ("PIL", "xllamacpp", "accelerate", "cotpd.knowledge", "cotpd.llm", "cotpd.captions"):
    sys.modules[name] = None
socket.socket = NoSocket

from cotpd.inference.extractor import Extractor
print(Extractor.from_pretrained(sys.argv[1], device="cpu")("Messi lifts the cup in Lusail").to_dict())
"""


def test_extraction_needs_no_network_no_images_and_no_language_model(student: Student, model: Path) -> None:
    """The paper's promise: no network, no image library, no language model."""
    ended = subprocess.run([sys.executable, "-c", ALONE, str(model)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == str(Extractor(student)("Messi lifts the cup in Lusail").to_dict())


def test_the_gpu_is_the_default_device_if_available(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(Student, "to", lambda student, device: asked.append(device) or student)
    Extractor.from_pretrained(model)
    assert asked == ["cuda"]
