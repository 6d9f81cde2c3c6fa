"""TomBERT format: four lines per target become posts with sentiments toward marked targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from cotpd.core.errors import DataError
from cotpd.core.records import Example, Span, TargetSentiment
from cotpd.corpus.conversion import convert, total_losses
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.defects import Defect, RaiseOnError
from cotpd.corpus.formats import FORMATS, recognise
from cotpd.corpus.formats.parsing.reading import Reading

GOOD = """\
RT @ ann : $T$ beats Oslo !
Rio
1
7_1.jpg
RT @ ann : Rio beats $T$ !
Oslo
-1
7_1.jpg
$T$ sells bread
The Corner Shop
0
8.jpg
$T$ sells cake
The Corner Shop
1
8.jpg
"""


def read(path: Path, content: str) -> tuple[list[Example], list[Defect]]:
    path.write_text(content, encoding="utf-8")
    defects: list[Defect] = []
    return [row.example for row in FORMATS["tombert"].read(path, Reading(defects.append))], defects


def test_lines_of_one_post_become_one_example(tmp_path: Path) -> None:
    examples, defects = read(tmp_path / "train.txt", GOOD)
    first, second, third = examples
    assert (first.id, first.image_id) == ("7_1", "7_1")
    assert first.words == ("RT", "@", "ann", ":", "Rio", "beats", "Oslo", "!")
    assert first.sentiments == (TargetSentiment(Span(4, 5), "positive"), TargetSentiment(Span(6, 7), "negative"))
    assert second.sentiments == (TargetSentiment(Span(0, 3), "neutral"),)
    assert (third.id, third.image_id, third.part_of) == ("8#2", "8", "8")
    assert [defect.kind for defect in defects] == ["repeated-id"]


def test_written_posts_read_back_the_same(tmp_path: Path) -> None:
    examples, _ = read(tmp_path / "train.txt", GOOD)
    for name in ("tombert", "jsonl"):
        path = tmp_path / f"again{FORMATS[name].suffix}"
        losses = FORMATS[name].write(path, examples)
        assert not losses or losses == {"ids": 1}, name
        assert [row.example for row in FORMATS[name].read(path, Reading(lambda defect: None))] == examples


def test_format_is_recognised_by_its_first_lines(tmp_path: Path) -> None:
    path = tmp_path / "dev.txt"
    path.write_text(GOOD, encoding="utf-8")
    assert recognise(path) == "tombert"
    for other in ("IMGID:1\n$T$\tO\n", "$T$\tO\nRio\tB-LOC\n1\tO\n"):
        path.write_text(other, encoding="utf-8")
        assert recognise(path) == "twitter"


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ("no target\nRio\n1\n7.jpg\n", 1, r"expected a text with one \$T\$, got 'no target'"),
        ("$T$ and $T$\nRio\n1\n7.jpg\n", 1, r"expected a text with one \$T\$"),
        ("$T$ wins\n\n1\n7.jpg\n", 2, "the target is blank"),
        ("$T$ wins\nRio\n2\n7.jpg\n", 3, "expected the label -1, 0 or 1, got '2'"),
        ("$T$ wins\nRio\n1\n", 1, "the file ends after 3 of 4 lines"),
        ("$T$ wins\nRio\n1\n$T$ loses\nOslo\n1\n7.jpg\n", 1, "only 3 of 4 lines before the next text"),
    ],
)
def test_defects_are_reported_with_file_and_line_and_reading_goes_on(
    tmp_path: Path, lines: str, line: int, message: str
) -> None:
    path = tmp_path / "train.txt"
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(DataError, match=rf"train\.txt:{line}: .*{message}"):
        list(FORMATS["tombert"].read(path, Reading(RaiseOnError())))
    examples, defects = read(path, lines + GOOD)
    assert defects[0].where == f"{path}:{line}"
    assert [example.id for example in examples][-3:] == ["7_1", "8", "8#2"]


def test_sidecars_join_by_the_image_id(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(GOOD, encoding="utf-8")
    caption = '{"image_id": "7_1", "captioner": "blip2", "text": "two teams"}\n'
    (tmp_path / "captions.jsonl").write_text(caption, encoding="utf-8")
    first, *others = Corpus.from_path(tmp_path).train
    assert first.caption is not None
    assert first.caption.text == "two teams"
    assert [example.caption for example in others] == [None, None]


def test_what_the_format_cannot_hold_is_counted_or_an_error(tmp_path: Path) -> None:
    plain = Example("1", ("a", "b"))
    assert FORMATS["tombert"].write(tmp_path / "a.txt", [plain]) == {"posts without target": 1}
    for words, label in ((("a b", "c"), "neutral"), (("$T$", "c"), "neutral"), (("a", "c"), "mixed")):
        example = Example("1", words, sentiments=(TargetSentiment(Span(1, 2), label),))
        with pytest.raises(DataError, match="cannot be written in this format"):
            FORMATS["tombert"].write(tmp_path / "b.txt", [example])


def test_conversion_to_another_format_counts_lost_sentiments(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(GOOD, encoding="utf-8")
    done = convert(tmp_path, tmp_path / "converted", Reading(lambda defect: None), to="twitter")
    assert total_losses(done)["sentiments"] == 4


def test_real_files_hold_as_many_targets_as_published(shared: Path) -> None:
    published = {"twitter2015": (3179, 1122), "twitter2017": (3562, 1176)}
    for name, counts in published.items():
        corpus = Corpus.from_path(shared / "sentiment" / name)
        found = [sum(len(post.sentiments) for post in split) for split in (corpus.train, corpus.dev)]
        assert tuple(found) == counts
