"""`cotpd convert`: there and back nothing is lost unsaid; wrong calls write nothing."""

import io
import json
import sys
from collections.abc import Callable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cotpd.corpus.corpus import Corpus
from cotpd.corpus.formats import FORMATS

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


@pytest.mark.parametrize("to", ["jsonl", "twitter"])
def test_there_and_back_nothing_is_lost(to: str, cotpd: Run, data: Path, tmp_path: Path) -> None:
    there = cotpd("convert", data, tmp_path / "there", "--to", to)
    assert (there.code, there.err) == (0, "")
    assert "train: 2 posts to" in there.out
    assert there.out.count("lost: nothing") == 2
    back = cotpd("convert", tmp_path / "there", tmp_path / "back", "--to", "twitter")
    assert back.code == 0
    for name in ("train.txt", "valid.txt", "captions.jsonl"):
        assert (tmp_path / "back" / name).read_bytes() == (data / name).read_bytes()


def test_a_draw_is_the_same_again_and_part_of_a_larger_one(cotpd: Run, tmp_path: Path) -> None:
    """Providers are compared on one subset: drawn anew, or not nested, they would be asked about other posts."""
    sample = str(files("cotpd") / "sample")

    def ids(name: str, *options: object) -> list[str]:
        done = cotpd("convert", sample, tmp_path / name, "--to", "jsonl", "--posts", "dev=20", *options)
        assert done.code == 0, done.err
        corpus = Corpus.from_path(tmp_path / name)
        assert (len(corpus.dev), len(corpus.test)) == (20, len(Corpus.sample().test)), "others stay whole"
        assert all(post.caption or not post.image_id for post in corpus.dev), "what lies beside comes along"
        return [post.id for post in corpus.train]

    large, small = ids("large", "--posts", "train=60"), ids("small", "--posts", "train=30")
    assert (len(large), len(small)) == (60, 30)
    assert [post for post in large if post in small] == small
    assert ids("again", "--posts", "train=60") == large
    assert ids("other", "--posts", "train=60", "--seed", "2") != large


def test_losses_are_printed_and_every_defect_is_in_the_json(cotpd: Run, data: Path, tmp_path: Path) -> None:
    done = cotpd("convert", data, tmp_path / "out", "--to", "gliner")
    assert "lost: 2 ids, 2 images, 1 orphans" in done.out
    assert "while reading: orphan-tag (2)" in done.out
    report = json.loads(cotpd("convert", data / "train.txt", tmp_path / "a.json", "--to", "gliner", "--json").out)
    assert report["losses"] == {"captions": 1, "ids": 2, "images": 2, "orphans": 1}
    assert report["files"]["train"]["posts"] == 2
    assert [defect["kind"] for defect in report["defects"]] == ["orphan-tag"]


@pytest.mark.parametrize("to", READY)
def test_splits_stay_apart_in_every_format(to: str, cotpd: Run, sample_path: Path, tmp_path: Path) -> None:
    there = cotpd("convert", sample_path, tmp_path / "there", "--to", to)
    assert (there.code, there.err) == (0, "")
    assert cotpd("convert", tmp_path / "there", tmp_path / "back", "--to", "jsonl").code == 0
    before, after = Corpus.from_path(sample_path), Corpus.from_path(tmp_path / "back")
    assert list(after.splits) == list(before.splits)
    if to in ("mnre", "tacred"):  # a pair a line
        assert len(after.train) == sum(len(post.relations) for post in before.train)
    else:
        assert [len(posts) for posts in after.splits.values()] == [len(posts) for posts in before.splits.values()]


def test_stdin_and_stdout_take_the_place_of_files(cotpd: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is said of the posts goes to stderr, so that a pipe holds nothing else."""
    content = "IMGID:7\n\u00e9\tB-PER\nb\tI-LOC\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    done = cotpd("convert", "-", "-", "--from", "twitter", "--to", "jsonl")
    assert done.code == 0
    assert json.loads(done.out)["id"] == "7"
    assert "1 posts to <stdout>; lost: nothing" in done.err
    assert "<stdin>:3: I-LOC continues nothing" in done.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"IMGID:7\nb\n")))
    done = cotpd("convert", "-", tmp_path / "a.jsonl", "--from", "twitter")
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("error: <stdin>:2: no tag")


def test_a_directory_is_written_whole_or_not_at_all(cotpd: Run, tmp_path: Path) -> None:
    """A word of dev cannot be written: what was written of train would stand in the way of the next try."""
    rows = [{"words": ["a"], "split": "train"}, {"words": ["New York"], "split": "dev"}]
    (tmp_path / "posts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    done = cotpd("convert", tmp_path / "posts.jsonl", tmp_path / "out", "--to", "conll2003")
    assert (done.code, [path.name for path in tmp_path.iterdir()]) == (5, ["posts.jsonl"])


def test_annotations_of_brat_are_never_overwritten(cotpd: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "a.ann").write_text("mine", encoding="utf-8")
    done = cotpd("convert", data / "train.txt", tmp_path / "a.txt", "--to", "brat")
    assert (done.code, "a.ann exists" in done.err) == (2, True)
    assert (tmp_path / "a.ann").read_text(encoding="utf-8") == "mine"


ORIGIN = {"kind": "style", "template": "style.v1", "model": "m"}


def write_rows(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def test_a_caption_of_a_row_is_kept_or_counted(cotpd: Run, data: Path, tmp_path: Path) -> None:
    caption = {"text": "a cup", "captioner": "we"}
    write_rows(data / "test.jsonl", {"id": "a", "words": ["a"], "caption": caption}, {"words": ["b"], "image": "7"})
    done = cotpd("convert", data, tmp_path / "out", "--to", "jsonl")
    assert "test: 2 posts to" in done.out
    assert "lost: 1" not in done.out
    own, attached = (json.loads(line) for line in (tmp_path / "out" / "test.jsonl").read_text("utf-8").splitlines())
    assert (own["caption"], "caption" in attached) == (caption, False), "the other's is in captions.jsonl"
    assert "lost: 1 captions, 2 ids" in cotpd("convert", data, tmp_path / "conll", "--to", "conll2003").out
    assert "2 captions" in cotpd("convert", data / "test.jsonl", tmp_path / "a.conll").out


def test_variants_are_renamed_like_their_posts(cotpd: Run, data: Path, tmp_path: Path) -> None:
    """Else training on both would learn two types where there is one."""
    entity = {"start": 0, "end": 1, "label": "OTHER"}
    row = {"id": "7~1", "words": ["a"], "entities": [entity], "image": "7", "origin": {"parent": "7", **ORIGIN}}
    write_rows(data / "augmented.jsonl", row)
    assert cotpd("convert", data, tmp_path / "out", "--to", "jsonl", "--label-map", "OTHER=MISC").code == 0
    [written] = (json.loads(line) for line in (tmp_path / "out" / "augmented.jsonl").read_text("utf-8").splitlines())
    assert [each["label"] for each in written["entities"]] == ["MISC"]
    assert "caption" not in written, "its parent's is in captions.jsonl"


def test_what_belongs_to_an_id_that_changes_is_lost_and_counted(cotpd: Run, data: Path, tmp_path: Path) -> None:
    """The second post becomes train:3, as the third was called: it must not be given that one's knowledge."""
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


def test_what_lies_beside_a_single_file_is_copied(cotpd: Run, data: Path, tmp_path: Path) -> None:
    assert cotpd("convert", data / "train.txt", tmp_path / "out", "--to", "jsonl").code == 0
    assert (tmp_path / "out" / "captions.jsonl").read_bytes() == (data / "captions.jsonl").read_bytes()


def test_what_a_single_file_leaves_behind_is_counted(cotpd: Run, data: Path, tmp_path: Path) -> None:
    """Captions, answers and variants stay beside the source: beside the new file in its directory, else lost to it."""
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


def test_posts_without_a_split_are_not_lost_among_those_with_one(cotpd: Run, tmp_path: Path) -> None:
    """Written beside the files of the splits, they would never be read again."""
    (tmp_path / "a.jsonl").write_text('{"words": ["a"], "split": "train"}\n{"words": ["b"]}\n', encoding="utf-8")
    done = cotpd("convert", tmp_path / "a.jsonl", tmp_path / "out", "--to", "jsonl")
    assert (done.code, "a.jsonl:2: no split" in done.err, (tmp_path / "out").exists()) == (5, True, False)


def test_types_are_renamed_and_tags_repaired(cotpd: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "train.jsonl"
    assert cotpd("convert", data / "train.txt", out, "--label-map", "OTHER=MISC").code == 0
    assert Corpus.from_path(out).label_set.types == ("MISC", "PER")
    dropped = tmp_path / "dropped.jsonl"
    assert cotpd("convert", data / "train.txt", dropped, "--repair", "drop").code == 0
    assert Corpus.from_path(dropped).label_set.types == ("PER",)


def test_words_of_running_text_come_back_when_they_are_spaced(cotpd: Run, tmp_path: Path) -> None:
    source, there, back = tmp_path / "train.txt", tmp_path / "there.json", tmp_path / "back.txt"
    source.write_text("IMGID:7\n#tag\tO\ndon't\tB-PER\n", encoding="utf-8")
    assert "1 words" in cotpd("convert", source, there, "--to", "wikidiverse").out
    cotpd("convert", there, back, "--from", "wikidiverse", "--to", "twitter", "--words", "spaces")
    assert back.read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("data", "out"), 2, "--to"),
        (("data", "out", "--to", "word"), 2, "no format 'word'"),
        (("data/train.txt", "a.jsonl", "--from", "excel"), 2, "no format 'excel'"),
        (("data", "a.jsonl"), 2, "several splits"),
        (("data", "data", "--to", "jsonl"), 2, "exists"),
        (("-", "a.jsonl"), 2, "set it with --from"),
        (("data", "-"), 2, "set it with --to"),
        (("data", "-", "--to", "brat"), 2, "several files"),
        (("data", "-", "--to", "jsonl"), 2, "several splits"),
        (("data", "out", "--to", "jsonl", "--label-map", "OTHER"), 2, "OLD=NEW"),
        (("data", "out", "--to", "jsonl", "--columns", "x"), 2, "two numbers"),
        (("data", "out", "--to", "jsonl", "--posts", "train"), 2, "SPLIT=NUMBER"),
        (("data", "out", "--to", "jsonl", "--posts", "train=3"), 2, "3 train posts were asked for, and there are 2"),
        (("data", "out", "--to", "jsonl", "--posts", "test=1"), 2, "no test posts to draw from; it has train, dev"),
        (("nowhere", "out", "--to", "jsonl"), 5, "no such file"),
        (("data", "out", "--to", "jsonl", "--repair", "strict"), 5, "train.txt:4: I-OTHER"),
        (("spaced.jsonl", "out", "--to", "conll2003"), 5, "the_id: 'New York' cannot be written"),
    ],
)
@pytest.mark.usefixtures("data")
def test_a_wrong_call_is_one_line_and_writes_nothing(
    arguments: tuple[str, ...], code: int, message: str, cotpd: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spaced.jsonl").write_text('{"id": "the_id", "words": ["New York"]}\n', encoding="utf-8")
    done = cotpd("convert", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert not [
        path for path in (Path("out"), Path("a.jsonl")) if path.is_file() or (path.is_dir() and [*path.iterdir()])
    ]
