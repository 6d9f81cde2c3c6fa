"""Formats of optional packages: spaCy DocBin files and saved Hugging Face datasets."""

import sys
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import DataError, MissingExtraError
from cotpd.core.records import Entity, Example, Span
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import FORMATS
from cotpd.corpus.formats.parsing.reading import Reading

from .conftest import check_defects


def read(name: str, path: Path) -> tuple[list[Example], list[Defect]]:
    defects: list[Defect] = []
    rows = list(FORMATS[name].read(path, Reading(defects.append)))
    check_defects([defect for defect in defects if defect.where != str(path)], path.parent)
    return [row.example for row in rows], defects


@pytest.mark.parametrize(("name", "package"), [("spacy_docbin", "spacy"), ("hf_datasets", "datasets")])
def test_missing_package_is_one_clear_error(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in [package, *(each for each in sys.modules if each.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed; run: pip install 'cotpd\[formats\]'"):
        FORMATS[name].write(tmp_path / "train", [Example("1", ("a",))])


def test_white_space_tokens_of_spacy_are_skipped(tmp_path: Path) -> None:
    """spaCy converts line breaks to tokens, so entities after them must be shifted."""
    tokens = pytest.importorskip("spacy.tokens", reason="the extra formats (spacy) is missing")
    from spacy.vocab import Vocab

    doc = tokens.Doc(Vocab(), words=["Anna", "\n", "Blum", "wins"])
    doc.set_ents([tokens.Span(doc, 2, 3, label="PER")])
    path = tmp_path / "train.spacy"
    tokens.DocBin(docs=[doc]).to_disk(path)
    [example], defects = read("spacy_docbin", path)
    assert example == Example("train:1", ("Anna", "Blum", "wins"), (Entity(Span(1, 2), "PER"),))
    assert defects == []
    assert len(Corpus.from_path(path).train) == 1


def test_other_annotations_of_a_docbin_are_counted(tmp_path: Path) -> None:
    """Users may store their entities in span groups, which are not read."""
    tokens = pytest.importorskip("spacy.tokens", reason="the extra formats (spacy) is missing")
    from spacy.vocab import Vocab

    doc = tokens.Doc(Vocab(), words=["Anna", "wins"])
    doc.spans["sc"] = [tokens.Span(doc, 0, 1, "PER"), tokens.Span(doc, 0, 2, "X")]
    doc.cats = {"sports": 1.0}
    part = tokens.Doc(doc.vocab, words=["Bo", "wins"])
    part.set_ents([tokens.Span(part, 0, 1, "PER", kb_id="Q1")], missing=[tokens.Span(part, 1, 2)])
    tokens.DocBin(docs=[doc, part]).to_disk(tmp_path / "train.spacy")
    found, defects = read("spacy_docbin", tmp_path / "train.spacy")
    assert [len(example.entities) for example in found] == [0, 1]
    assert [(defect.kind, defect.where[-1]) for defect in defects[:2]] == [
        ("not-annotated", "1"),
        ("not-annotated", "2"),
    ]
    assert "1 categories, 1 links, 2 spans of the group sc" in defects[2].message


def test_writer_refuses_words_of_white_space(tmp_path: Path) -> None:
    pytest.importorskip("spacy", reason="the extra formats (spacy) is missing")
    for word in ("", " ", "\n"):
        with pytest.raises(DataError, match=r"^the_id: .*cannot be written"):
            FORMATS["spacy_docbin"].write(tmp_path / "a.spacy", [Example("the_id", (word,))])


def test_file_that_is_not_a_docbin_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("spacy", reason="the extra formats (spacy) is missing")
    (tmp_path / "a.spacy").write_bytes(b"IMGID:1\n")
    found, [defect] = read("spacy_docbin", tmp_path / "a.spacy")
    assert (found, defect.kind, defect.severity) == ([], "unreadable", Severity.ERROR)


def test_damaged_document_is_an_error_with_its_number(tmp_path: Path) -> None:
    """spaCy parses documents lazily and fails for a type whose string is missing."""
    tokens = pytest.importorskip("spacy.tokens", reason="the extra formats (spacy) is missing")
    from spacy.vocab import Vocab

    docs = [tokens.Doc(Vocab(), words=["ok"]), tokens.Doc(Vocab(), words=["Anna"]), tokens.Doc(Vocab(), words=["ok"])]
    for doc, label in zip(docs, ["PER", "TEAM", "PER"], strict=True):
        doc.set_ents([tokens.Span(doc, 0, 1, label=label)])
    packed = tokens.DocBin(docs=docs)
    packed.strings.discard("TEAM")
    packed.to_disk(tmp_path / "a.spacy")
    found, [defect] = read("spacy_docbin", tmp_path / "a.spacy")
    assert [example.words for example in found] == [("ok",), ("ok",)]
    assert (defect.kind, defect.where, defect.severity) == ("unreadable", f"{tmp_path / 'a.spacy'}:2", Severity.ERROR)


def save(path: Path, **columns: Any) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra formats (datasets) is missing")
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns).save_to_disk(str(path))


def test_saved_dataset_is_read_with_tags_as_names(tmp_path: Path) -> None:
    save(tmp_path / "train", tokens=[["Anna", "wins"], ["a"]], ner_tags=[["B-PER", "O"], ["O"]], more=[1, 2])
    save(tmp_path / "validation", tokens=[["Bo"]], ner_tags=[["S-PER"]], id=[7], image_id=[""])
    corpus = Corpus.from_path(tmp_path)
    assert corpus.train[0] == Example("train:1", ("Anna", "wins"), (Entity(Span(0, 1), "PER"),))
    assert corpus.dev == (Example("7", ("Bo",), (Entity(Span(0, 1), "PER"),)),)


def test_second_tag_column_is_used_and_other_columns_are_counted(tmp_path: Path) -> None:
    save(tmp_path / "train", tokens=[["Anna"]], tags=[["B-PER"]], pos_tags=[["NNP"]])
    [example], [defect] = read("hf_datasets", tmp_path / "train")
    assert example.entities == (Entity(Span(0, 1), "PER"),)
    assert (defect.kind, "1 pos_tags" in defect.message) == ("not-kept", True)


def test_dataset_without_tags_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "train", words=[["Anna"]], ner=[["B-PER"]])
    with pytest.raises(DataError, match=r"train: expected a column ner_tags or tags, got words, ner; rename"):
        read("hf_datasets", tmp_path / "train")


def test_broken_row_is_an_error_with_its_number(tmp_path: Path) -> None:
    cases: tuple[tuple[Any, Any, str], ...] = (
        (["a"], ["O", "O"], "bad-row"),
        (["a"], ["PER"], "unknown-tag"),
        (["a"], None, "bad-row"),
        ([""], ["O"], "empty-word"),
    )
    for number, (tokens, tags, kind) in enumerate(cases):
        path = tmp_path / str(number)
        save(path, tokens=[["ok"], tokens], ner_tags=[["O"], tags])
        _, [defect] = read("hf_datasets", path)
        assert (defect.kind, defect.where, defect.severity) == (kind, f"{path}:2", Severity.ERROR), kind


def test_dataset_without_rows_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "train", tokens=[], ner_tags=[])
    with pytest.raises(DataError, match="cannot load a dataset with rows"):
        read("hf_datasets", tmp_path / "train")


def test_directory_that_is_not_a_dataset_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra formats (datasets) is missing")
    (tmp_path / "state.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="cannot load a dataset"):
        read("hf_datasets", tmp_path)


def test_dataset_with_a_damaged_description_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "train", tokens=[["a"]], ner_tags=[["O"]])
    (tmp_path / "train" / "dataset_info.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="cannot load a dataset"):
        read("hf_datasets", tmp_path / "train")
