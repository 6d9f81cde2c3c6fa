"""Reading a corpus: its splits, captions and knowledge, and one clear error for bad data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import DataError, UsageError
from cotpd.core.labels import Repair
from cotpd.core.records import Grain, Knowledge
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.splits import named_split

POST = "IMGID:{0}\nword\tO\n{0}\tB-PER\n\n"

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write files by name into a directory; a list becomes JSON lines."""

    def write(**files: str | list[dict[str, object]]) -> Path:
        for name, content in files.items():
            suffix = ".txt" if isinstance(content, str) else ".jsonl"
            text = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
            (tmp_path / f"{name}{suffix}").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def post(name: str) -> str:
    return POST.format(name)


def test_split_is_a_word_of_the_file_name() -> None:
    for name, split in (
        ("train.txt", "train"),
        ("valid.txt", "dev"),
        ("val.jsonl", "dev"),
        ("dev.conll", "dev"),
        ("validation.txt", "dev"),
        ("mnre_val .txt", "dev"),
        ("Twitter2015-TEST.txt", "test"),
        ("eng.testa", "dev"),
        ("eng.testb", "test"),
        ("Devel.iob2", "dev"),
        ("contest.txt", None),
        ("train_test.txt", None),
        ("posts.txt", None),
    ):
        assert named_split(name) == split, name


def test_directory_is_read_by_split_and_other_files_are_reported(make: Make) -> None:
    path = make(train=post("1") + post("2"), valid=post("3"), test=post("4"), train_notes="no corpus", LICENSE="…")
    corpus = Corpus.from_path(path)
    assert [[example.id for example in posts] for posts in corpus.splits.values()] == [["1", "2"], ["3"], ["4"]]
    assert [example.id for example in corpus.examples] == ["1", "2", "3", "4"]
    assert corpus.label_set.types == ("PER",)
    assert corpus.places["train"][1] == f"{path / 'train.txt'}:5"
    ignored = [(defect.kind, Path(defect.where).name) for defect in corpus.defects]
    assert ignored == [("ignored-file", "train_notes.txt")]


def test_single_file_is_a_corpus(make: Make) -> None:
    path = make(
        valid=post("1"), posts=[{"words": ["a"], "split": "val"}, {"words": ["b"], "split": "test"}, {"words": ["c"]}]
    )
    assert Corpus.from_path(path / "valid.txt").dev[0].id == "1"
    corpus = Corpus.from_path(str(path / "posts.jsonl"))
    assert [len(corpus.dev), len(corpus.test), len(corpus.unsplit)] == [1, 1, 1]


def test_only_file_of_a_directory_needs_no_split_in_its_name(make: Make) -> None:
    assert len(Corpus.from_path(make(posts=post("1"), captions=[])).unsplit) == 1


def test_file_name_takes_precedence_over_the_split_of_a_row(make: Make) -> None:
    corpus = Corpus.from_path(make(train=[{"words": ["a"], "split": "test"}, {"words": ["b"], "split": "fold3"}]))
    assert len(corpus.train) == 2
    assert [defect.kind for defect in corpus.defects] == ["split-differs", "unknown-split"]


def test_bad_data_is_one_clear_error(make: Make, tmp_path: Path) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "no train, dev or test file"),
        ({"a": "x\tO\n", "b": "y\tO\n"}, "no train, dev or test file"),
        (
            {"train": post("1"), "dev": post("2"), "valid": post("3")},
            "dev.txt and valid.txt are both dev files; remove one",
        ),
        ({"train": ""}, "the corpus contains no posts"),
        ({"train": "IMGID:1\n\n"}, "the corpus contains no posts"),
        ({"train": "<html>\n"}, "unknown format; convert the file"),
        ({"train": "{'token': ['a'], 'h': {}}\n"}, "train.txt:1: h.name: Field required"),
        ({"train": post("1"), "dev": "IMGID:1\nword O\n"}, "dev.txt:2: a space separates word and tag"),
        ({"train": [{"words": ["a"]}, {"word": "a"}]}, "train.jsonl:2: the row has neither `words` nor `text`"),
        ({"train": post("1"), "captions": [{"text": "a dog"}]}, "captions.jsonl:1: the row has neither image_id"),
        (
            {"train": post("1"), "knowledge": [{"image_id": "1", "grain": "verb", "text": "x"}]},
            "knowledge.jsonl:1: grain",
        ),
        ({"train": post("1"), "captions": [{"image_id": "1"}]}, "captions.jsonl:1: text: Field required"),
    )
    for files, message in cases:
        for path in tmp_path.iterdir():
            path.unlink()
        with pytest.raises(DataError) as raised:
            Corpus.from_path(make(**files))
        assert message in str(raised.value)
        assert raised.value.exit_code == 5


def test_missing_path_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such file or directory"):
        Corpus.from_path(tmp_path / "nowhere")


def test_label_map_and_repair_are_applied(make: Make) -> None:
    path = make(train="IMGID:1\na\tB-OTHER\nb\tO\nc\tI-OTHER\n")
    corpus = Corpus.from_path(path, label_map={"OTHER": "MISC"}, repair=Repair.DROP)
    assert [entity.label for entity in corpus.train[0].entities] == ["MISC"]
    assert [defect.kind for defect in corpus.defects] == ["orphan-tag"]
    with pytest.raises(DataError, match=r"train\.txt:4: tag 'I-OTHER' continues no entity; set repair"):
        Corpus.from_path(path, repair=Repair.STRICT)


def captions(*rows: tuple[str, str, str]) -> list[dict[str, object]]:
    return [{"image_id": image, "captioner": name, "text": text} for image, name, text in rows]


def test_captions_of_one_captioner_are_used(make: Make) -> None:
    rows = captions(
        ("1", "blip", "a dog"),
        ("1", "llava", "a hound"),
        ("2", "llava", "a cat"),
        ("2", "blip", " "),
        ("9", "blip", "?"),
    )
    path = make(train=post("1") + post("2"), captions=rows)
    corpus = Corpus.from_path(path)
    assert [example.caption and example.caption.text for example in corpus.train] == ["a dog", None]
    counts = corpus.statistics().captions
    assert counts is not None
    assert (dict(counts.rows), counts.chosen) == ({"blip": 3, "llava": 2}, "blip")
    assert (counts.blank, counts.repeated, counts.unmatched) == (1, 0, 1)
    chosen = Corpus.from_path(path, captioner="llava")
    assert [example.caption and example.caption.text for example in chosen.train] == ["a hound", "a cat"]


def test_ids_may_be_integers_and_texts_null(make: Make) -> None:
    """Caption files of Twitter-2015 have integers as ids, and null where the captioner failed."""
    rows: list[dict[str, object]] = [{"image_id": 1, "text": "a dog"}, {"image_id": 2, "text": None}]
    corpus = Corpus.from_path(make(train=post("1") + post("2"), captions=rows))
    assert [example.caption and example.caption.text for example in corpus.train] == ["a dog", None]
    assert corpus.captions is not None
    assert corpus.captions.blank == 1


@pytest.mark.parametrize("option", ["captioner", "knowledge_model"])
def test_captioner_or_model_without_rows_is_a_usage_error(make: Make, option: str) -> None:
    rows = [{"image_id": "1", "captioner": "blip", "grain": "noun", "model": "gpt", "text": "x"}]
    path = make(train=post("1"))
    with pytest.raises(UsageError, match="no such file"):
        Corpus.from_path(path, **{option: "nobody"})
    make(captions=rows, knowledge=rows)
    with pytest.raises(UsageError, match=r"no rows by 'nobody'; available: (blip|gpt)"):
        Corpus.from_path(path, **{option: "nobody"})


def test_knowledge_of_a_post_takes_precedence_over_that_of_its_image(make: Make) -> None:
    rows = [
        {"image_id": "1", "grain": "sentence", "model": "m", "template": "sentence.v1", "text": "of the image"},
        {"image_id": "1", "grain": "noun", "model": "m", "text": "first"},
        {"image_id": "1", "grain": "noun", "model": "m", "text": "second"},
        {"example_id": "1#2", "grain": "sentence", "model": "m", "text": "of the post", "question": "abc"},
        {"example_id": "7", "grain": "sentence", "model": "m", "text": "of nobody"},
    ]
    corpus = Corpus.from_path(make(train=post("1") + post("1"), knowledge=rows))
    first, second = corpus.train
    assert [(row.grain, row.text) for row in first.knowledge] == [
        (Grain.NOUN, "first"),
        (Grain.SENTENCE, "of the image"),
    ]
    assert [row.text for row in second.knowledge] == ["first", "of the post"]
    counts = corpus.statistics().knowledge
    assert counts is not None
    assert (counts.repeated, counts.unmatched) == (1, 1)


def test_knowledge_can_be_attached_in_memory(make: Make) -> None:
    path = make(train=post("1"), knowledge=[{"image_id": "1", "grain": "noun", "text": "old"}])
    rows = [Knowledge(Grain.NOUN, "new", example_id="1"), Knowledge(Grain.SENTENCE, "more", image_id="1")]
    [example] = Corpus.from_path(path).with_knowledge(rows).train
    assert [row.text for row in example.knowledge] == ["new", "more"]


def test_statistics_count_entities_with_and_without_orphans(make: Make) -> None:
    counts = (
        Corpus.from_path(make(train="IMGID:1\na\tB-PER\nb\tI-LOC\nc\tO\n\nIMGID:2\nd\tO\n"))
        .statistics()
        .splits["train"]
    )
    assert (counts.posts, counts.words, counts.longest, counts.images, counts.without_entities) == (2, 4, 3, 2, 1)
    assert (counts.entities, counts.num_entities, counts.strict_entities) == ({"LOC": 1, "PER": 1}, 2, 1)


def test_sample_has_the_documented_content() -> None:
    """As its README says: 336 posts, no defects, and every relation occurs in train."""
    corpus = Corpus.sample()
    assert [len(corpus.train), len(corpus.dev), len(corpus.test)] == [180, 50, 106]
    assert corpus.label_set.types == ("LOC", "MISC", "ORG", "PER")
    assert corpus.defects == ()
    assert all(example.caption for example in corpus.examples)
    trained = {relation.label for example in corpus.train for relation in example.relations}
    assert {relation.label for example in corpus.examples for relation in example.relations} == trained


def test_no_file_of_a_split_is_overlooked_silently(tmp_path: Path) -> None:
    tagged = "Mia\tB-PER\nsings\tO\n"
    for name in ("2017train.CONLL", "new.dev.iob2", "new.test.annotated", "train.csv", "TEST.ods", "train.log~"):
        (tmp_path / name).write_text(tagged)
    (tmp_path / "Train").mkdir()
    corpus = Corpus.from_path(tmp_path)
    assert {split: len(posts) for split, posts in corpus.splits.items()} == {"train": 1, "dev": 1, "test": 1}
    ignored = {Path(defect.where).name: defect.message for defect in corpus.defects if defect.kind == "ignored-file"}
    assert sorted(ignored) == ["TEST.ods", "Train", "train.csv", "train.log~"]
    assert all("suffix" in ignored[name] for name in ignored if name != "Train")


def test_files_named_by_their_split_only_are_read(tmp_path: Path) -> None:
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (tmp_path / name).write_text(f"-DOCSTART- -X- O O\n\nMia NNP B-NP B-PER\n{name} NN O O\n")
    assert list(Corpus.from_path(tmp_path).splits) == ["train", "dev", "test"]
