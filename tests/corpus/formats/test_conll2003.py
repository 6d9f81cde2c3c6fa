"""CoNLL-2003 format: columns, documents, comments, line ends, and detection of IOB1."""

from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import DataError
from cotpd.core.labels import Repair
from cotpd.core.records import Entity, Example, Span
from cotpd.corpus.defects import Severity
from cotpd.corpus.formats import conll2003

from .conftest import line_of

IOB1 = "-DOCSTART- -X- -X- O\n\nBo NNP I-NP I-PER\nsees VB I-VP O\nAjax NNP I-NP I-ORG\nPSV NNP I-NP B-ORG\n"


def test_iob1_is_detected_and_has_no_orphans(read: Any) -> None:
    """Read as BIO, most entities of the original files would be orphans, which strict scoring does not count."""
    [example], [defect] = read("conll2003", IOB1, repair=Repair.STRICT)
    assert example == Example(
        "a:3",
        ("Bo", "sees", "Ajax", "PSV"),
        (Entity(Span(0, 1), "PER"), Entity(Span(2, 3), "ORG"), Entity(Span(3, 4), "ORG")),
    )
    assert not any(entity.orphan for entity in example.entities)
    assert (defect.kind, defect.severity) == ("tag-scheme", Severity.WARNING)


def test_scheme_can_be_chosen(read: Any) -> None:
    [example], defects = read("conll2003", IOB1, scheme="BIO")
    assert [entity.orphan for entity in example.entities] == [True, True, False]
    assert [defect.kind for defect in defects] == ["orphan-tag", "orphan-tag"]


def test_crlf_byte_order_mark_tabs_and_comments_are_read(read: Any) -> None:
    content = (
        "\ufeff-DOCSTART- -X- O O\r\nBo\tNNP\tI-NP\tB-PER\r\n# text = Bo #\r\n# # # O\r\n \r\n\r\nAjax NNP I-NP B-ORG"
    )
    found, [defect] = read("conll2003", content)
    assert [example.words for example in found] == [("Bo", "#"), ("Ajax",)]
    assert (defect.kind, defect.where.rpartition(":")[2]) == ("comment", "3")


def test_columns_can_be_chosen(read: Any) -> None:
    content = "1 B-PER Bo x\n2 O sees y\n"
    [example], defects = read("conll2003", content, columns=(2, 1))
    assert (example.words, example.entities, defects) == (("Bo", "sees"), (Entity(Span(0, 1), "PER"),), [])
    _, defects = read("conll2003", content, columns=(2, 7))
    assert [(defect.kind, defect.severity) for defect in defects] == [("missing-column", Severity.ERROR)] * 2


def test_hashtag_is_not_a_comment_if_its_line_has_a_tag(read: Any) -> None:
    [example], defects = read("conll2003", "#1 B-PER 0.9\n#MUFC B-ORG 0.8\nwin O 0.9\n", columns=(0, 1))
    assert example.words == ("#1", "#MUFC", "win")
    assert [entity.label for entity in example.entities] == ["PER", "ORG"]
    assert defects == []


def test_broken_line_is_an_error_and_its_word_is_kept(read: Any) -> None:
    for line, kind in (
        ("Bo", "missing-column"),
        ("Bo NNP I-NP PER", "unknown-tag"),
        ("#MUFC NNP I-NP B_ORG", "unknown-tag"),
    ):
        [example], [defect] = read("conll2003", f"ok _ _ B-PER\n{line}\nend _ _ O\n")
        assert (defect.kind, line_of(defect), defect.severity) == (kind, 2, Severity.ERROR), line
        assert len(example.words) == 3, line


def test_writer_refuses_words_with_white_space(tmp_path: Path) -> None:
    for word in ("", "New York", "a\tb", "a\rb"):
        with pytest.raises(DataError, match=r"^the_id: .*cannot be written"):
            conll2003.write(tmp_path / "a.conll", [Example("the_id", (word,))])
