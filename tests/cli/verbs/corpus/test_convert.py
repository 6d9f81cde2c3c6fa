"""`cotpd convert`: conversion there and back, reported losses, and wrong calls that write nothing."""

import io
import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.records import Example
from cotpd.corpus.conversion import Subsample, convert
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.defects import RaiseOnError
from cotpd.corpus.formats import FORMATS
from cotpd.corpus.formats.parsing.reading import Reading

Run = Callable[..., Any]
_NEEDS = {"hf_datasets": "datasets", "spacy_docbin": "spacy"}
READY = [name for name in FORMATS if name not in _NEEDS or find_spec(_NEEDS[name])]
POSTS = "IMGID:7\nAnna\tB-PER\nat\tO\nAjax\tI-OTHER\n\nIMGID:8\nBo\tB-PER\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    (path / "train.txt").write_text(POSTS, encoding="utf-8")
    (path / "valid.txt").write_text(POSTS.replace("7", "1").replace("8", "2"), encoding="utf-8")
    (path / "captions.jsonl").write_text('{"image_id": "7", "text": "a dog"}\n', encoding="utf-8")
    return path


def test_conversion_and_back_restores_the_files(cotpd: Run, data: Path, tmp_path: Path) -> None:
    for to in ("jsonl", "twitter"):
        there = cotpd("convert", data, tmp_path / f"{to}-there", "--to", to)
        assert (there.code, there.err) == (0, "")
        assert "train: 2 posts to" in there.out
        assert there.out.count("lost: nothing") == 2
        back = cotpd("convert", tmp_path / f"{to}-there", tmp_path / f"{to}-back", "--to", "twitter")
        assert back.code == 0
        for name in ("train.txt", "valid.txt", "captions.jsonl"):
            assert (tmp_path / f"{to}-back" / name).read_bytes() == (data / name).read_bytes()


def test_subsamples_are_reproducible_and_nested() -> None:
    """Language models are compared on one subsample. Otherwise they would be asked about different posts."""
    posts = [Example(str(number), ("a",)) for number in range(100)]

    def ids(size: int, seed: int = 1) -> list[str]:
        return [post.id for post in Subsample({"train": size}, seed).select("train", posts)]

    large, small = ids(60), ids(30)
    assert (len(large), len(small)) == (60, 30)
    assert [post for post in large if post in small] == small
    assert ids(60) == large
    assert ids(60, seed=2) != large
    assert Subsample({"train": 3}).select("dev", posts) == tuple(posts), "other splits are complete"


def test_subsample_keeps_captions(cotpd: Run, data: Path, tmp_path: Path) -> None:
    done = cotpd("convert", data, tmp_path / "out", "--to", "jsonl", "--posts", "train=1", "--seed", 3)
    assert done.code == 0, done.err
    corpus = Corpus.from_path(tmp_path / "out")
    assert (len(corpus.train), len(corpus.dev)) == (1, 2)
    assert (tmp_path / "out" / "captions.jsonl").is_file()


def test_losses_are_printed_and_the_json_contains_all_defects(cotpd: Run, data: Path, tmp_path: Path) -> None:
    done = cotpd("convert", data, tmp_path / "out", "--to", "gliner")
    assert "lost: 2 ids, 2 images, 1 orphans" in done.out
    assert "warnings of the reader: orphan-tag (2)" in done.out
    report = json.loads(cotpd("convert", data / "train.txt", tmp_path / "a.json", "--to", "gliner", "--json").out)
    assert report["losses"] == {"captions": 1, "ids": 2, "images": 2, "orphans": 1}
    assert report["files"]["train"]["posts"] == 2
    assert [defect["kind"] for defect in report["defects"]] == ["orphan-tag"]


def test_every_format_keeps_the_splits(cotpd: Run, tmp_path: Path) -> None:
    entities = [{"start": 0, "end": 1, "label": "PER"}, {"start": 2, "end": 3, "label": "LOC"}]
    relations = [{"head": 0, "tail": 1, "label": "r"}, {"head": 1, "tail": 0, "label": "s"}]
    sentiments = [{"start": 0, "end": 1, "label": "positive"}]
    for split, num_posts in (("train", 3), ("dev", 2), ("test", 1)):
        rows = [
            {"id": f"{split}{n}", "words": [f"Bo{n}", "in", split], "image": f"{split}{n}"} for n in range(num_posts)
        ]
        annotated = (row | {"entities": entities, "relations": relations, "sentiments": sentiments} for row in rows)
        write_rows(tmp_path / f"{split}.jsonl", *annotated)
    for to in READY:
        there, back = tmp_path / f"{to}-there", tmp_path / f"{to}-back"
        done = cotpd("convert", tmp_path, there, "--to", to)
        assert (done.code, done.err) == (0, ""), to
        assert cotpd("convert", there, back, "--to", "jsonl").code == 0, to
        factor = 2 if to in ("mnre", "tacred") else 1  # one pair per line
        counts = {split: len(posts) for split, posts in Corpus.from_path(back).splits.items()}
        assert counts == {"train": 3 * factor, "dev": 2 * factor, "test": factor}, to


def test_hyphen_reads_stdin_and_writes_stdout(cotpd: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The report goes to stderr, so that a pipe contains only posts."""
    content = "IMGID:7\n\u00e9\tB-PER\nb\tI-LOC\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    done = cotpd("convert", "-", "-", "--from", "twitter", "--to", "jsonl")
    assert done.code == 0
    assert json.loads(done.out)["id"] == "7"
    assert "1 posts to <stdout>; lost: nothing" in done.err
    assert "<stdin>:3: tag 'I-LOC' continues no entity" in done.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"IMGID:7\nb\n")))
    done = cotpd("convert", "-", tmp_path / "a.jsonl", "--from", "twitter")
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("error: <stdin>:2: the line 'b' has no tag")


def test_directory_is_written_completely_or_not_at_all(cotpd: Run, tmp_path: Path) -> None:
    """A word of dev cannot be written. A directory with train only would block the next attempt."""
    rows = [{"words": ["a"], "split": "train"}, {"words": ["New York"], "split": "dev"}]
    (tmp_path / "posts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    done = cotpd("convert", tmp_path / "posts.jsonl", tmp_path / "out", "--to", "conll2003")
    assert (done.code, [path.name for path in tmp_path.iterdir()]) == (5, ["posts.jsonl"])


def test_brat_annotations_are_never_overwritten(cotpd: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "a.ann").write_text("mine", encoding="utf-8")
    done = cotpd("convert", data / "train.txt", tmp_path / "a.txt", "--to", "brat")
    assert (done.code, "a.ann exists" in done.err) == (2, True)
    assert (tmp_path / "a.ann").read_text(encoding="utf-8") == "mine"


ORIGIN = {"kind": "style", "template": "style.v1", "model": "m"}


def write_rows(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def test_caption_of_a_row_is_kept_or_counted_as_lost(cotpd: Run, data: Path, tmp_path: Path) -> None:
    caption = {"text": "a cup", "captioner": "we"}
    write_rows(data / "test.jsonl", {"id": "a", "words": ["a"], "caption": caption}, {"words": ["b"], "image": "7"})
    done = cotpd("convert", data, tmp_path / "out", "--to", "jsonl")
    assert "test: 2 posts to" in done.out
    assert "lost: 1" not in done.out
    own, attached = (json.loads(line) for line in (tmp_path / "out" / "test.jsonl").read_text("utf-8").splitlines())
    assert (own["caption"], "caption" in attached) == (caption, False), "the other's is in captions.jsonl"
    assert "lost: 1 captions, 2 ids" in cotpd("convert", data, tmp_path / "conll", "--to", "conll2003").out
    assert "2 captions" in cotpd("convert", data / "test.jsonl", tmp_path / "a.conll").out


def test_label_map_applies_to_posts_and_variants(data: Path, tmp_path: Path) -> None:
    """Otherwise training on both would learn two types instead of one."""
    entity = {"start": 0, "end": 1, "label": "OTHER"}
    row = {"id": "7~1", "words": ["a"], "entities": [entity], "image": "7", "origin": {"parent": "7", **ORIGIN}}
    write_rows(data / "augmented.jsonl", row)
    convert(data, tmp_path / "out", Reading(RaiseOnError(), label_map={"OTHER": "MISC"}), to="jsonl")
    [written] = (json.loads(line) for line in (tmp_path / "out" / "augmented.jsonl").read_text("utf-8").splitlines())
    assert [each["label"] for each in written["entities"]] == ["MISC"]
    assert "caption" not in written, "the caption of its parent is in captions.jsonl"
    assert Corpus.from_path(tmp_path / "out").label_set.types == ("MISC", "PER")


def test_sidecar_rows_of_a_changed_id_are_lost_and_counted(cotpd: Run, data: Path, tmp_path: Path) -> None:
    """The second post becomes train:3, the old id of the third, and must not get the knowledge of that post."""
    (data / "train.txt").unlink()
    write_rows(data / "train.jsonl", *({"words": [word]} for word in "abc"))
    known = [{"example_id": f"train:{n}", "grain": "noun", "text": f"of {n}"} for n in (1, 2, 3)]
    write_rows(data / "knowledge.jsonl", *known, {"image_id": "7", "grain": "noun", "text": "of 7"})
    variants = [{"id": f"v{n}", "words": ["v"], "origin": {"parent": f"train:{n}", **ORIGIN}} for n in (1, 3)]
    write_rows(data / "augmented.jsonl", *variants)
    done = cotpd("convert", data, tmp_path / "out", "--to", "conll2003", "--json")
    assert json.loads(done.out)["files"]["train"]["losses"] == {"ids": 2, "knowledge": 2, "variants": 1}
    corpus = Corpus.from_path(tmp_path / "out")
    assert [[each.text for each in post.knowledge] for post in corpus.train] == [["of 1"], [], []]
    assert [variant.id for variant in corpus.augmented] == ["v1"]
    assert '"of 7"' in (tmp_path / "out" / "knowledge.jsonl").read_text("utf-8")


def test_variants_are_copied(cotpd: Run, data: Path, tmp_path: Path) -> None:
    origin = {"parent": "7", "kind": "style", "template": "style.v1", "model": "m"}
    row = {"id": "7~1", "words": ["a"], "origin": origin}
    (data / "augmented.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert cotpd("convert", data, tmp_path / "out", "--to", "jsonl").code == 0
    assert Corpus.from_path(tmp_path / "out").augmented[0].id == "7~1"


def test_captions_of_a_single_file_are_copied(cotpd: Run, data: Path, tmp_path: Path) -> None:
    assert cotpd("convert", data / "train.txt", tmp_path / "out", "--to", "jsonl").code == 0
    assert (tmp_path / "out" / "captions.jsonl").read_bytes() == (data / "captions.jsonl").read_bytes()


def test_sidecar_rows_are_lost_for_a_file_in_another_directory(cotpd: Run, data: Path, tmp_path: Path) -> None:
    write_rows(
        data / "knowledge.jsonl",
        {"image_id": "7", "grain": "noun", "text": "a"},
        {"image_id": "2", "grain": "noun", "text": "of dev"},
    )
    origin = {"parent": "7", "kind": "style", "template": "style.v1", "model": "m"}
    write_rows(data / "augmented.jsonl", {"id": "7~1", "words": ["a"], "origin": origin})
    away = cotpd("convert", data / "train.txt", tmp_path / "away.jsonl")
    assert "lost: 1 captions, 1 knowledge, 1 variants" in away.out
    assert "lost: nothing" in cotpd("convert", data / "train.txt", data / "train.jsonl").out
    renamed = cotpd("convert", data / "train.txt", data / "train.conll").out
    assert "lost: 1 captions, 2 ids, 2 images, 1 knowledge, 1 variants" in renamed


def test_posts_with_and_without_a_split_are_an_error(cotpd: Run, tmp_path: Path) -> None:
    """Posts without a split would be written to a file that is never read again."""
    (tmp_path / "a.jsonl").write_text('{"words": ["a"], "split": "train"}\n{"words": ["b"]}\n', encoding="utf-8")
    done = cotpd("convert", tmp_path / "a.jsonl", tmp_path / "out", "--to", "jsonl")
    assert (done.code, "a.jsonl:2: this post has no split" in done.err, (tmp_path / "out").exists()) == (5, True, False)


def test_words_separated_by_spaces_are_recovered_from_running_text(cotpd: Run, tmp_path: Path) -> None:
    source, there, back = tmp_path / "train.txt", tmp_path / "there.json", tmp_path / "back.txt"
    source.write_text("IMGID:7\n#tag\tO\ndon't\tB-PER\n", encoding="utf-8")
    assert "1 words" in cotpd("convert", source, there, "--to", "wikidiverse").out
    cotpd("convert", there, back, "--from", "wikidiverse", "--to", "twitter", "--words", "spaces")
    assert back.read_bytes() == source.read_bytes()


@pytest.mark.usefixtures("data")
def test_wrong_call_prints_one_line_and_writes_nothing(
    cotpd: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spaced.jsonl").write_text('{"id": "the_id", "words": ["New York"]}\n', encoding="utf-8")
    before = {*tmp_path.rglob("*")}
    for arguments, code, message in (
        (("data", "out"), 2, "--to"),
        (("data", "out", "--to", "word"), 2, "unknown format 'word'"),
        (("data/train.txt", "a.jsonl", "--from", "excel"), 2, "unknown format 'excel'"),
        (("data", "a.jsonl"), 2, "several splits"),
        (("data", "data", "--to", "jsonl"), 2, "exists"),
        (("-", "a.jsonl"), 2, "set it with --from"),
        (("data", "-"), 2, "set it with --to"),
        (("data", "-", "--to", "brat"), 2, "several files"),
        (("data", "-", "--to", "jsonl"), 2, "several splits"),
        (("data", "out", "--to", "jsonl", "--columns", "x"), 2, "expected two numbers"),
        (("data", "out", "--to", "jsonl", "--posts", "train"), 2, "SPLIT=NUMBER"),
        (("data", "out", "--to", "jsonl", "--posts", "train=3"), 2, "cannot select 3 train posts; the split has 2"),
        (("data", "out", "--to", "jsonl", "--posts", "test=1"), 2, "no test posts to select from; it has train, dev"),
        (("nowhere", "out", "--to", "jsonl"), 5, "no such file"),
        (("spaced.jsonl", "out", "--to", "conll2003"), 5, "the_id: the word or tag 'New York' cannot be written"),
    ):
        done = cotpd("convert", *arguments)
        assert (done.code, done.out) == (code, ""), arguments
        assert message in done.err, arguments
        assert {*tmp_path.rglob("*")} == before, arguments


def test_splits_of_one_source_become_rows_of_one_jsonl_file(cotpd: Run, tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    for name in ("x-train-1", "x-train-2", "x-test-1"):
        (documents / f"{name}.txt").write_text("Mia sings\n")
        (documents / f"{name}.ann").write_text("T1\tPER 0 3\tMia\n")
    out = tmp_path / "all.jsonl"
    assert cotpd("convert", documents, out).code == 0
    assert [json.loads(line)["split"] for line in out.read_text().splitlines()] == ["train", "train", "test"]
    assert Corpus.from_path(out).splits == Corpus.from_path(documents).splits


def test_skipped_annotations_are_printed_with_the_losses(cotpd: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Mia sings in Oslo\n")
    (tmp_path / "a.ann").write_text("T1\tPER 0 3;13 17\tMia Oslo\n")
    done = cotpd("convert", tmp_path / "a.txt", tmp_path / "a.jsonl")
    assert "lost: nothing while writing\n" in done.out
    assert "skipped while reading (warnings, see below): 1 discontinuous" in done.out
    (tmp_path / "b.conll").write_text("Mia B-PER\nLi I-PER\nsings O\nOslo I-LOC\nAjax B-ORG\n")
    done = cotpd("convert", tmp_path / "b.conll", tmp_path / "b.jsonl", "--repair", "drop")
    assert (done.code, "1 orphan-tag" in done.out) == (0, True)


def test_text_without_spaces_is_split_into_characters(cotpd: Run, tmp_path: Path) -> None:
    row = {"id": "1", "text": "梅西在北京", "entities": [{"start": 0, "end": 2, "label": "PER"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    done = cotpd("convert", tmp_path / "a.jsonl", "-", "--to", "jsonl")
    assert json.loads(done.out)["words"] == ["梅", "西", "在", "北", "京"]
    assert "warnings" not in done.err
