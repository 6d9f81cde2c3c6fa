"""Formats of other packages: spaCy's DocBin and saved Hugging Face datasets; without the package, one clear error."""

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


def read(name: str, path: Path) -> tuple[list[Example], list[Defect]]:
    defects: list[Defect] = []
    return [row.example for row in FORMATS[name].read(path, Reading(defects.append))], defects


@pytest.mark.parametrize(("name", "package"), [("spacy_docbin", "spacy"), ("hf_datasets", "datasets")])
def test_a_missing_package_is_one_clear_error(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in [package, *(each for each in sys.modules if each.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed; run: pip install 'cotpd\[formats\]'"):
        FORMATS[name].write(tmp_path / "train", [Example("1", ("a",))])


def test_the_tokens_of_spacy_lose_their_line_breaks(tmp_path: Path) -> None:
    """spaCy makes a token of each run of white space; entities behind it must move along."""
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


def test_what_a_docbin_holds_beside_entities_is_counted(tmp_path: Path) -> None:
    """Spans of groups look like entities to people: a file of them alone would be read as one without any."""
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


@pytest.mark.parametrize("word", ["", " ", "\n"])
def test_a_word_that_spacy_cannot_hold_is_refused(word: str, tmp_path: Path) -> None:
    pytest.importorskip("spacy", reason="the extra formats (spacy) is missing")
    with pytest.raises(DataError, match=r"^the_id: .*cannot be written"):
        FORMATS["spacy_docbin"].write(tmp_path / "a.spacy", [Example("the_id", (word,))])


def test_what_is_no_docbin_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("spacy", reason="the extra formats (spacy) is missing")
    (tmp_path / "a.spacy").write_bytes(b"IMGID:1\n")
    found, [defect] = read("spacy_docbin", tmp_path / "a.spacy")
    assert (found, defect.kind, defect.severity) == ([], "unreadable", Severity.ERROR)


def test_a_document_that_spacy_cannot_read_is_an_error_with_its_place(tmp_path: Path) -> None:
    """spaCy reads a document only when it is asked: an I without a B, a type without its string."""
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


def test_a_saved_dataset_is_read_with_tags_as_names(tmp_path: Path) -> None:
    save(tmp_path / "train", tokens=[["Anna", "wins"], ["a"]], ner_tags=[["B-PER", "O"], ["O"]], more=[1, 2])
    save(tmp_path / "validation", tokens=[["Bo"]], ner_tags=[["S-PER"]], id=[7], image_id=[""])
    corpus = Corpus.from_path(tmp_path)
    assert corpus.train[0] == Example("train:1", ("Anna", "wins"), (Entity(Span(0, 1), "PER"),))
    assert corpus.dev == (Example("7", ("Bo",), (Entity(Span(0, 1), "PER"),)),)


def test_tags_may_have_another_name_and_other_columns_are_counted(tmp_path: Path) -> None:
    save(tmp_path / "train", tokens=[["Anna"]], tags=[["B-PER"]], pos_tags=[["NNP"]])
    [example], [defect] = read("hf_datasets", tmp_path / "train")
    assert example.entities == (Entity(Span(0, 1), "PER"),)
    assert (defect.kind, "1 pos_tags" in defect.message) == ("not-kept", True)


def test_a_dataset_without_tags_is_an_error(tmp_path: Path) -> None:
    """Without any known column it was read as no rows at all, and a split was gone with a mere warning."""
    save(tmp_path / "train", words=[["Anna"]], ner=[["B-PER"]])
    with pytest.raises(DataError, match=r"train: no column ner_tags or tags among words, ner"):
        read("hf_datasets", tmp_path / "train")


@pytest.mark.parametrize(
    ("tokens", "tags", "kind"),
    [
        (["a"], ["O", "O"], "bad-row"),
        (["a"], ["PER"], "unknown-tag"),
        (["a"], None, "bad-row"),
        ([""], ["O"], "empty-word"),
    ],
)
def test_a_broken_row_is_an_error_with_its_place(tokens: Any, tags: Any, kind: str, tmp_path: Path) -> None:
    save(tmp_path / "train", tokens=[["ok"], tokens], ner_tags=[["O"], tags])
    _, [defect] = read("hf_datasets", tmp_path / "train")
    assert (defect.kind, defect.where, defect.severity) == (kind, f"{tmp_path / 'train'}:2", Severity.ERROR)


def test_a_dataset_without_rows_is_an_error(tmp_path: Path) -> None:
    """The package itself fails on one with an IndexError."""
    save(tmp_path / "train", tokens=[], ner_tags=[])
    with pytest.raises(DataError, match="without rows"):
        read("hf_datasets", tmp_path / "train")


def test_a_directory_of_something_else_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra formats (datasets) is missing")
    (tmp_path / "state.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="no saved dataset"):
        read("hf_datasets", tmp_path)


def test_a_dataset_with_a_broken_description_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "train", tokens=[["a"]], ner_tags=[["O"]])
    (tmp_path / "train" / "dataset_info.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="no saved dataset"):
        read("hf_datasets", tmp_path / "train")
