"""`cotpd show`: one post whole, in words or in the pieces of a run, for people and for programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.config import ExperimentConfig
from cotpd.inference.extractor import Extractor

Cotpd = Callable[..., Any]

POSTS = [
    {
        "id": "p1",
        "words": ["Messi", "lifts", "the", "[cup]", "in", "Lusail", "\x1b[31m"],
        "entities": [{"start": 0, "end": 1, "label": "PER"}, {"start": 5, "end": 6, "label": "MISC"}],
        "relations": [{"head": 0, "tail": 1, "label": "present in"}],
        "image": "i1",
    },
    {"id": "p2", "words": ["lorem"] * 900, "image": "i2"},
]
KNOWLEDGE = [
    {"image_id": "i1", "grain": "noun", "model": "m", "template": "noun.v1", "text": "Lusail is a city"},
    {"image_id": "i1", "grain": "sentence", "model": "m", "template": "sentence.v1", "text": "a final was won " * 20},
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(post) + "\n" for post in POSTS))
    (tmp_path / "knowledge.jsonl").write_text("".join(json.dumps(row) + "\n" for row in KNOWLEDGE))
    (tmp_path / "captions.jsonl").write_text(
        json.dumps({"image_id": "i1", "captioner": "c", "text": "a man, a cup"}) + "\n"
    )
    return tmp_path


@pytest.mark.parametrize("id", ["p1", "i1"])
def test_all_that_is_known_is_shown(id: str, corpus: Path, cotpd: Cotpd) -> None:
    outcome = cotpd("show", corpus, id)
    assert (outcome.code, outcome.err) == (0, "")
    for part in (
        "p1",
        "train.jsonl:1",
        "i1",
        "a man, a cup",
        "(c)",
        "Lusail is a city",
        "m noun.v1",
        "[cup]",
        "[0, 1)",
    ):
        assert part in outcome.out
    assert outcome.out.index("noun") < outcome.out.index("sentence") < outcome.out.index("text view")
    assert "\x1b" not in outcome.out


def test_json_holds_the_same(corpus: Path, cotpd: Cotpd) -> None:
    page = json.loads(cotpd("show", corpus, "p1", "--json").out)
    assert (page["id"], page["split"], page["words"]) == ("p1", "train", POSTS[0]["words"])
    assert [known["grain"] for known in page["knowledge"]] == ["noun", "sentence"]
    assert page["caption"]["text"] == "a man, a cup"
    assert list(page["views"]) == ["text", "prompt", "knowledge"]
    assert page["views"]["knowledge"]["windows"][0][7:14] == ["[SEP]", "a", "man,", "a", "cup", "[SEP]", "Lusail"]
    assert [entity["label"] for entity in page["gold"]["entities"]] == ["PER", "MISC"]
    assert page["gold"]["relations"][0]["tail"] == {"start": 5, "end": 6, "words": "Lusail"}
    assert page["predicted"] == {}


def test_a_run_shows_its_pieces_and_predictions(finished_run: Path, corpus: Path, cotpd: Cotpd) -> None:
    page = json.loads(cotpd("show", corpus, "p1", "--run", finished_run, "--json").out)
    assert list(page["views"]) == list(page["predicted"]) == ["prompt", "text", "knowledge"]
    assert page["views"]["prompt"]["windows"][0][:6] == ["[CLS]", "m", "##e", "##s", "##s", "##i"]
    assert page["views"]["prompt"]["windows"][0][-4:] == ["[SEP]", "[P1]", "[P2]", "[P3]"]
    assert page["views"]["knowledge"]["num_cut"] > 0
    assert [entity["label"] for entity in page["gold"]["entities"]] == ["PER", "ORG"], "the run's label map is not used"
    words = page["words"]
    found = {(e["label"], e["words"]) for e in page["predicted"]["prompt"]["entities"]}
    example = Extractor.from_pretrained(finished_run, device="cpu")
    assert found
    assert all(text in " ".join(words) for _, text in found)
    assert {mention.entity_group for mention in example(" ".join(words)).entities} <= {"LOC", "ORG", "PER"}


def test_a_runs_model_reads_as_the_run(finished_run: Path, corpus: Path, cotpd: Cotpd) -> None:
    page = json.loads(cotpd("show", corpus, "p1", "--run", finished_run / "model", "--json").out)
    assert [entity["label"] for entity in page["gold"]["entities"]] == ["PER", "ORG"]


def test_what_a_run_was_trained_with_may_be_missing(
    finished_run: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory, cotpd: Cotpd
) -> None:
    run = shutil.copytree(finished_run, tmp_path_factory.mktemp("runs") / "run")
    settings = ExperimentConfig.of({"data": {"path": "nowhere", "captioner": "blip", "knowledge_model": "qwen"}})
    (run / "config.toml").write_text(settings.to_toml(), encoding="utf-8")
    for name in ("captions.jsonl", "knowledge.jsonl"):
        (corpus / name).unlink()
    assert cotpd("show", corpus, "p1", "--run", run).code == 0


def test_gold_and_predictions_stand_side_by_side(finished_run: Path, corpus: Path, cotpd: Cotpd) -> None:
    outcome = cotpd("show", corpus, "p1", "--run", finished_run)
    table = outcome.out.splitlines()[-12:]
    header = next(line for line in table if "gold" in line)
    assert header.split() == ["gold", "prompt", "text", "knowledge"]
    assert any("Messi [0, 1) → Lusail [5, 6)" in line and "present in" in line for line in table)
    assert "pieces of knowledge cut" in outcome.out.replace("\n", " ")


def test_a_long_post_is_shown_in_all_its_windows(finished_run: Path, corpus: Path, cotpd: Cotpd) -> None:
    page = json.loads(cotpd("show", corpus, "p2", "--run", finished_run, "--json").out)
    assert len(page["views"]["text"]["windows"]) > 8
    assert "window 2 of" in cotpd("show", corpus, "p2", "--run", finished_run).out


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no cell of a table is broken."""
    monkeypatch.setenv("COLUMNS", "250")


@pytest.mark.usefixtures("wide")
def test_a_marked_pair_is_read_between_its_markers(relation_run: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    (tmp_path / "captions.jsonl").write_text('{"image_id": "i", "text": "a cup"}\n', encoding="utf-8")
    line = {"token": ["Ann", "in", "New", "Rome"], "h": {"name": "New Rome", "pos": [2, 4]}, "img_id": "i"}
    line |= {"t": {"name": "Ann", "pos": [0, 1]}, "relation": "/per/misc/present_in"}
    (tmp_path / "mnre_train.txt").write_text(f"{line}\n", encoding="utf-8")
    plain = json.loads(cotpd("show", tmp_path, "mnre_train:1", "--json").out)
    words = ["[t]", "Ann", "[/t]", "in", "[h]", "New", "Rome", "[/h]", "[SEP]"]
    assert plain["views"]["text"]["windows"] == [words]
    assert plain["views"]["knowledge"]["windows"] == [[*words, "a", "cup", "[SEP]"]]
    page = json.loads(cotpd("show", tmp_path, "mnre_train:1", "--run", relation_run, "--json").out)
    text = [
        "[CLS]",
        "[t]",
        "a",
        "##n",
        "##n",
        "[/t]",
        "i",
        "##n",
        "[h]",
        *["n", "##e", "##w", "r", "##o", "##m", "##e"],
        "[/h]",
        "[SEP]",
    ]
    assert page["views"]["text"]["windows"] == [text]
    assert page["views"]["prompt"]["windows"] == [[*text, "[P1]", "[P2]", "[P3]"]]
    assert page["views"]["knowledge"]["windows"][0][: len(text)] == text
    [gold], [predicted] = page["gold"]["relations"], page["predicted"]["prompt"]["relations"]
    assert (gold["label"], gold["head"]["words"], gold["score"]) == ("/per/misc/present_in", "New Rome", None)
    assert (predicted["head"], predicted["tail"]) == (gold["head"], gold["tail"])
    assert 0 < predicted["score"] <= 1
    table = cotpd("show", tmp_path, "mnre_train:1", "--run", relation_run).out
    assert "New Rome [2, 4) → Ann [0, 1)" in table


@pytest.mark.usefixtures("wide")
def test_pairs_that_nobody_relates_have_no_row(relation_run: Path, sample_path: Path, cotpd: Cotpd) -> None:
    page = json.loads(cotpd("show", sample_path, "test-001", "--run", relation_run, "--json").out)
    num_pairs = len(page["gold"]["entities"]) * (len(page["gold"]["entities"]) - 1)
    assert len(page["predicted"]["text"]["relations"]) == num_pairs > 1
    related = {
        (pair["head"]["start"], pair["tail"]["start"])
        for found in (page["gold"], *page["predicted"].values())
        for pair in found["relations"]
        if pair["label"] != "None"
    }
    assert cotpd("show", sample_path, "test-001", "--run", relation_run).out.count(" → ") == len(related)


def test_an_unknown_id_is_a_usage_error_with_a_hint(corpus: Path, cotpd: Cotpd) -> None:
    outcome = cotpd("show", corpus, "p4")
    assert outcome.code == 2
    assert "no post has the id 'p4'" in outcome.err
