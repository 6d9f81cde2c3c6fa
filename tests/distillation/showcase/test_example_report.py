"""One example with its views in words or in pieces, and the predictions of a run from each view."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cotpd import show_example
from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.records import Example
from cotpd.corpus.corpus import Corpus
from cotpd.inference.extractor import Extractor
from cotpd.inference.predictor import TrainedStudent

EXAMPLES: list[dict[str, Any]] = [
    {
        "id": "p1",
        "words": ["Messi", "lifts", "the", "[cup]", "in", "Lusail", "!"],
        "entities": [{"start": 0, "end": 1, "label": "PER"}, {"start": 5, "end": 6, "label": "MISC"}],
        "relations": [{"head": 0, "tail": 1, "label": "present in"}],
        "image": "i1",
    },
    {"id": "p2", "words": ["lorem"] * 300, "image": "i2"},
]
KNOWLEDGE = [
    {"image_id": "i1", "grain": "noun", "model": "m", "template": "noun.v1", "text": "Lusail is a city"},
    {"image_id": "i1", "grain": "sentence", "model": "m", "template": "sentence.v1", "text": "a final was won " * 20},
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for name, rows in (
        ("train", EXAMPLES),
        ("knowledge", KNOWLEDGE),
        ("captions", [{"image_id": "i1", "captioner": "c", "text": "a man, a cup"}]),
    ):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def pair_corpus(path: Path) -> Path:
    """A corpus that states one pair and marks no entities, as MNRE does."""
    (path / "captions.jsonl").write_text('{"image_id": "i", "text": "a cup"}\n', encoding="utf-8")
    line = {"token": ["Ann", "in", "New", "Rome"], "h": {"name": "New Rome", "pos": [2, 4]}, "img_id": "i"}
    line |= {"t": {"name": "Ann", "pos": [0, 1]}, "relation": "/per/misc/present_in"}
    (path / "mnre_train.txt").write_text(f"{line}\n", encoding="utf-8")
    return path


def test_an_example_is_found_by_its_id_or_by_its_image(corpus: Path) -> None:
    for example_id in ("p1", "i1"):
        report = show_example(corpus, example_id)
        assert (report.example.id, report.split, report.where) == ("p1", "train", f"{corpus / 'train.jsonl'}:1")
    with pytest.raises(UsageError, match="no example has the id 'p4'; the first id is p1"):
        show_example(corpus, "p4")
    with pytest.raises(UsageError, match="no example has the id 'sentence-2'; similar ids: sentence-1"):
        show_example(Corpus(dev=(Example("sentence-1", ("a",)),)), "sentence-2")


def test_a_corpus_in_memory_needs_no_file(corpus: Path) -> None:
    report = show_example(Corpus(dev=Corpus.from_path(corpus).train), "p1")
    assert (report.split, report.where) == ("dev", "")


def test_without_a_run_the_views_are_in_words(corpus: Path) -> None:
    report = show_example(corpus, "p1").to_dict()
    assert list(report["views"]) == ["text", "prompt", "knowledge"]
    assert report["views"]["knowledge"]["windows"][0][7:14] == ["[SEP]", "a", "man,", "a", "cup", "[SEP]", "Lusail"]
    assert [known["grain"] for known in report["knowledge"]] == ["noun", "sentence"]
    assert report["caption"]["text"] == "a man, a cup"
    assert [entity["label"] for entity in report["gold"]["entities"]] == ["PER", "MISC"]
    assert report["gold"]["relations"][0]["tail"] == {"start": 5, "end": 6, "words": "Lusail"}
    assert report["predicted"] == {}


def test_with_a_run_the_views_are_in_pieces_and_each_has_predictions(finished_run: Path, corpus: Path) -> None:
    report = show_example(corpus, "p1", run=finished_run)
    assert list(report.views) == list(report.predictions) == ["prompt", "text", "knowledge"]
    [prompt] = report.views["prompt"].windows
    assert prompt[:6] == ["[CLS]", "m", "##e", "##s", "##s", "##i"]
    assert prompt[-4:] == ["[SEP]", "[P1]", "[P2]", "[P3]"]
    assert report.views["knowledge"].num_cut > 0
    found = report.to_dict()["predicted"]["prompt"]["entities"]
    assert found
    assert all(each["words"] in report.example.text and each["label"] in ("LOC", "ORG", "PER") for each in found)


def test_the_corpus_is_read_with_the_settings_of_the_run(finished_run: Path, corpus: Path) -> None:
    """The run renames MISC to ORG. A loaded extractor does not know how its run read the corpus."""
    for run in (finished_run, finished_run / "model"):
        report = show_example(corpus, "p1", run=run)
        assert [entity.label for entity in report.example.entities] == ["PER", "ORG"]
    for extractor in (Extractor, TrainedStudent):
        loaded = show_example(corpus, "p1", run=extractor.from_pretrained(finished_run))
        assert [entity.label for entity in loaded.example.entities] == ["PER", "MISC"]
        assert loaded.predictions == report.predictions


def test_captions_and_knowledge_may_be_missing_if_the_run_names_captioner_and_model(
    finished_run: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = shutil.copytree(finished_run, tmp_path_factory.mktemp("runs") / "run")
    config = ExperimentConfig.of({"corpus": {"path": "nowhere", "captioner": "blip", "knowledge_model": "qwen"}})
    (run / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    for name in ("captions.jsonl", "knowledge.jsonl"):
        (corpus / name).unlink()
    assert show_example(corpus, "p1", run=run).example.caption is None


def test_a_long_text_has_several_windows(finished_run: Path, corpus: Path) -> None:
    windows = show_example(corpus, "p2", run=finished_run).views["text"].windows
    assert len(windows) > 2
    assert all(len(window) <= 512 for window in windows)


def test_a_stated_pair_is_read_between_its_markers(relation_run: Path, tmp_path: Path) -> None:
    corpus = pair_corpus(tmp_path)
    words = ["[t]", "Ann", "[/t]", "in", "[h]", "New", "Rome", "[/h]", "[SEP]"]
    plain = show_example(corpus, "mnre_train:1").views
    assert (plain["text"].windows, plain["text"].unit) == ([words], "pair")
    assert plain["knowledge"].windows == [[*words, "a", "cup", "[SEP]"]]
    report = show_example(corpus, "mnre_train:1", run=relation_run)
    ann, new_rome = ["a", "##n", "##n"], ["n", "##e", "##w", "r", "##o", "##m", "##e"]
    pieces = ["[CLS]", "[t]", *ann, "[/t]", "i", "##n", "[h]", *new_rome, "[/h]", "[SEP]"]
    assert report.views["text"].windows == [pieces]
    assert report.views["prompt"].windows == [[*pieces, "[P1]", "[P2]", "[P3]"]]
    assert report.views["knowledge"].windows[0][: len(pieces)] == pieces
    values = report.to_dict()
    [gold], [predicted] = values["gold"]["relations"], values["predicted"]["prompt"]["relations"]
    assert (gold["label"], gold["head"]["words"], gold["score"]) == ("/per/misc/present_in", "New Rome", None)
    assert (predicted["head"], predicted["tail"]) == (gold["head"], gold["tail"])
    assert 0 < predicted["score"] <= 1
