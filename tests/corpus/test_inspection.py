"""Inspection finds every defect at its place, and none in a clean corpus."""

from collections import Counter
from pathlib import Path

import pytest

from cotpd.core.errors import DataError
from cotpd.core.files import hash_file, write_jsonl
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus import known_files as versions
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.defects import Severity
from cotpd.corpus.inspection import Inspection, check, inspect
from cotpd.corpus.known_files import Version

TEXTS = {
    "train": "the first post is about Anna",
    "dev": "another one names Bert today",
    "test": "nobody knows Carla yet",
}


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Write a corpus with captions and knowledge for every post."""
    for split, text in TEXTS.items():
        words = "".join(f"{word}\t{'B-PER' if word.istitle() else 'O'}\n" for word in text.split())
        (tmp_path / f"{split}.txt").write_text(f"IMGID:{split}-image\n{words}\n", encoding="utf-8")
    images = [f"{split}-image" for split in TEXTS]
    write_jsonl(tmp_path / "captions.jsonl", ({"image_id": image, "text": "a street"} for image in images))
    grains = ("noun", "sentence", "multimodality")
    rows = ({"image_id": image, "grain": grain, "text": "known"} for image in images for grain in grains)
    write_jsonl(tmp_path / "knowledge.jsonl", rows)
    return tmp_path


def add(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def kinds(inspection: Inspection) -> Counter[str]:
    return Counter(defect.kind for defect in inspection.defects)


def test_clean_corpus_has_no_defects(clean: Path) -> None:
    inspection = inspect(clean)
    assert inspection.defects == ()
    assert inspection.versions == {}


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("test.txt", "IMGID:train-image\nx\tB-PER\n", {"same-image": 1}),
        (
            "dev.txt",
            "IMGID:dev-image\nThe\tO\nfirst\tO\npost\tO\nis\tO\nabout\tO\nANNA\tO\n",
            {"same-text": 1, "repeated-id": 1},
        ),
        (
            "dev.txt",
            "IMGID:dev-image\nthe\tO\nfirst\tO\npost\tO\nis\tO\nabout\tO\nEve\tO\n",
            {"similar-text": 1, "repeated-id": 1},
        ),
        ("dev.txt", "IMGID:dev-image\nx\tB-LOC\n", {"label-sets-differ": 1, "repeated-id": 1}),
        ("train.txt", "IMGID:train-image\nx\tB-LOC\n", {"label-sets-differ": 2, "repeated-id": 1}),
        (
            "train.txt",
            "IMGID:new\nx\tO\n",
            {"no-caption": 1, "no-noun-knowledge": 1, "no-sentence-knowledge": 1, "no-multimodality-knowledge": 1},
        ),
        ("train.txt", "IMGID:train-image\n" + "x\tO\n" * 129, {"long-post": 1, "repeated-id": 1}),
        ("train.txt", f"IMGID:train-image\n{'x' * 2001}\tO\n", {"long-post": 1, "repeated-id": 1}),
        ("captions.jsonl", '{"image_id": "gone", "text": "x"}\n', {"unmatched-row": 1}),
        ("captions.jsonl", '{"image_id": "train-image", "text": " "}\n', {"blank-text": 1}),
        ("knowledge.jsonl", '{"image_id": "gone", "grain": "noun", "model": "b", "text": "x"}\n', {"other-maker": 1}),
    ],
)
def test_each_defect_is_found(clean: Path, file: str, text: str, expected: dict[str, int]) -> None:
    add(clean / file, text)
    inspection = inspect(clean)
    assert kinds(inspection) == expected
    assert inspection.num_errors == 0
    Corpus.from_path(clean)


def test_labels_that_other_tools_misread_are_reported(clean: Path) -> None:
    for split in TEXTS:
        add(clean / f"{split}.txt", f"IMGID:{split}-image\n{split}\tB-OTHER\nx\tB-NORP-EU\n")
    found = kinds(inspect(clean))
    assert (found["label-other"], found["label-with-hyphen"], found["label-sets-differ"]) == (3, 3, 0)


def test_pair_with_two_labels_is_reported() -> None:
    def post(name: str, *labels: str) -> Example:
        relations = tuple(Relation(Span(0, 1), Span(1, 2), label) for label in labels)
        return Example(name, ("Ana", "Rio"), relations=relations)

    corpus = Corpus(train=(post("1", "in", "of"), post("2", "in"), post("3", "by")), dev=(post("4", "to"),))
    found = [(defect.where, defect.message) for defect in check(corpus) if defect.kind == "two-labels"]
    assert found == [
        ("1", "the pair (Ana, Rio) has the label of here and in at 1; remove one of them"),
        ("3", "the pair (Ana, Rio) has the label by here and in at 1; remove one of them"),
    ]


def test_id_in_two_splits_is_reported(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{"id": "1", "words": ["a"]}, {"id": "2", "words": ["b"]}])
    write_jsonl(tmp_path / "dev.jsonl", [{"id": "2", "words": ["c"]}])
    [defect] = [defect for defect in inspect(tmp_path).defects if defect.kind == "same-id"]
    assert defect.where == f"{tmp_path / 'dev.jsonl'}:1"


def test_errors_are_collected_and_the_rest_is_read(clean: Path) -> None:
    add(clean / "train.txt", "IMGID:train-image\nx O\ny\n")
    add(clean / "captions.jsonl", "oops\n")
    inspection = inspect(clean)
    errors = [(defect.kind, defect.where) for defect in inspection.defects if defect.severity is Severity.ERROR]
    assert errors == [
        ("spaces-for-tab", f"{clean / 'train.txt'}:10"),
        ("missing-tag", f"{clean / 'train.txt'}:11"),
        ("unreadable", f"{clean / 'captions.jsonl'}:4"),
    ]
    assert inspection.statistics.splits["train"].posts == 2


def test_corpus_without_a_readable_post_lists_its_errors(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("oops\n{}\n", encoding="utf-8")
    assert kinds(inspect(tmp_path)) == {"unreadable": 2, "bad-row": 1, "empty-file": 1}
    with pytest.raises(DataError, match="no such file"):
        inspect(tmp_path / "nowhere")


def test_published_files_are_recognised_under_any_name(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        hash_file(clean / "train.txt"): Version("Twitter-2015", "train", "a"),
        hash_file(clean / "dev.txt"): Version("Twitter-2015", "test", "b"),
    }
    monkeypatch.setattr(versions, "KNOWN", known)
    inspection = inspect(clean)
    assert [str(version) for version in inspection.versions.values()] == [
        "Twitter-2015 train (a)",
        "Twitter-2015 test (b)",
    ]
    assert kinds(inspection) == {"wrong-split": 1, "unknown-version": 1}


def test_corpus_in_memory_can_be_checked() -> None:
    one = Example("1", ("a", "b"), (Entity(Span(0, 1), "PER"),))
    found = check(Corpus(train=(one,), test=(one,)))
    assert {(defect.kind, defect.where) for defect in found} >= {("same-text", "1"), ("same-id", "1")}


@pytest.mark.slow
def test_real_corpora_have_the_published_counts(shared: Path) -> None:
    """4000/1000 and 3373/723/723 posts; entities counted as in conlleval and strictly."""
    t15, t17 = inspect(shared / "twitter2015"), inspect(shared / "twitter2017")
    expected = {"train": (4000, 6352, 6166), "dev": (1000, 1594, 1541)}
    splits = t15.statistics.splits
    assert {
        name: (splits[name].posts, splits[name].num_entities, splits[name].strict_entities) for name in expected
    } == expected
    assert {name: split.posts for name, split in t17.statistics.splits.items()} == {
        "train": 3373,
        "dev": 723,
        "test": 723,
    }
    assert t15.num_errors == t17.num_errors == 0
    assert {version.corpus for version in t15.versions.values()} == {"Twitter-2015"}
    assert {version.split for version in t17.versions.values()} == {"train", "dev", "test"}
    assert kinds(t15)["orphan-tag"] == 239
    assert (kinds(t15)["same-text"], kinds(t17)["same-text"]) == (3, 6)
    assert kinds(t15)["invisible-word"] == 1
    assert kinds(t17)["replacement-character"] == 4


def test_tag_scheme_of_each_file_is_detected(clean: Path) -> None:
    (clean / "dev.txt").write_text("IMGID:dev-image\nBo\tU-PER\n", encoding="utf-8")
    assert {file.name: scheme for file, scheme in inspect(clean).schemes.items()} == {
        "train.txt": "BIO",
        "dev.txt": "BILOU",
        "test.txt": "BIO",
    }


def test_corpus_of_relations_needs_no_entities(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"words": ["a"], "relations": [{"head": [0, 1], "tail": [0, 1], "label": "r"}]}])
    assert "no-entities" not in kinds(inspect(tmp_path))
