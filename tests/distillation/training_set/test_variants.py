"""Augmented examples: reading, selection for training, and removal of near-duplicates of held-out posts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cotpd.core.config import AugmentationConfig, ExperimentConfig
from cotpd.core.errors import DataError
from cotpd.core.example_row import to_row
from cotpd.core.files import write_jsonl
from cotpd.core.records import Caption, Entity, Example, Grain, Knowledge, Origin, Span, VariantKind
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.formats.jsonl import write
from cotpd.corpus.inspection import check
from cotpd.distillation.training_set.variants import select_variants

STYLE, ENTITY, IMAGE = VariantKind
KNOWN = Knowledge(Grain.NOUN, "Kerr: a player", example_id="p0")


def post(name: str, *words: str) -> Example:
    return Example(name, (name, *words), (Entity(Span(0, 1), "PER"),))


def variant(parent: str, kind: VariantKind = STYLE, number: int = 1) -> Example:
    made = post(f"{parent}+{kind}{number}", f"{parent}was", f"{parent}changed", "here")
    caption = Caption("", "a wet street", "imagined") if kind is IMAGE else None
    return replace(made, caption=caption, origin=Origin(parent, kind, f"{kind}.v1", "small"))


TRAIN = tuple(post(f"p{number}", "plays", "here", "now") for number in range(4))
VARIANTS = tuple(variant(f"p{number}", kind) for kind in VariantKind for number in range(4))
CORPUS = Corpus(TRAIN, (post("d", "is", "held", "out"),), (post("t", "is", "kept", "away"),), augmented=VARIANTS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for split, posts in (("train", TRAIN), ("dev", CORPUS.dev), ("test", CORPUS.test)):
        write(tmp_path / f"{split}.jsonl", posts)
    write_jsonl(tmp_path / "augmented.jsonl", map(to_row, VARIANTS))
    return tmp_path


def selected(train: tuple[Example, ...] = TRAIN, corpus: Corpus = CORPUS, **settings: object) -> list[str]:
    config = AugmentationConfig.model_validate({"kinds": tuple(VariantKind), "share": 10} | settings)
    return [each.id for each in select_variants(train, corpus, config, seed=1)]


def test_variants_read_back_the_same_and_belong_to_no_split(data: Path) -> None:
    corpus = Corpus.from_path(data)
    assert corpus.augmented == VARIANTS
    assert [each.origin for each in corpus.augmented] == [each.origin for each in VARIANTS]
    assert len(corpus.examples) == 6
    assert corpus.defects == ()


def test_captions_and_knowledge_of_variants_are_attached(data: Path) -> None:
    (data / "knowledge.jsonl").write_text('{"example_id": "p1+style1", "grain": "noun", "text": "own"}\n', "utf-8")
    corpus = Corpus.from_path(data)
    assert [row.text for row in corpus.augmented[1].knowledge] == ["own"]
    assert corpus.augmented[8].caption == Caption("", "a wet street", "imagined")
    counts = corpus.statistics().knowledge
    assert (counts and counts.unmatched, [each for each in check(corpus) if each.kind == "unmatched-row"]) == (0, [])


def test_file_of_variants_can_be_read_as_a_corpus(data: Path) -> None:
    """Elicitation of knowledge about variants needs this."""
    assert Corpus.from_path(data / "augmented.jsonl").unsplit == VARIANTS


def test_variant_without_an_origin_is_an_error(data: Path) -> None:
    write(data / "augmented.jsonl", TRAIN)
    with pytest.raises(DataError, match=r"augmented.jsonl:1: the row has no `origin`"):
        Corpus.from_path(data)


def test_no_variant_is_selected_by_default() -> None:
    config = ExperimentConfig.of({"data": {"path": "x"}}).data.augmentation
    assert select_variants(TRAIN, CORPUS, config, seed=1) == []
    assert selected() == [each.id for each in VARIANTS]


def test_kinds_and_share_limit_the_selection() -> None:
    for settings, count in (
        ({"kinds": ("entity",)}, 4),
        ({"kinds": ("entity", "image")}, 8),
        ({"share": 0.5}, 2),
        ({"share": 0.0}, 0),
        ({"kinds": ("style",), "share": 0.5}, 2),
    ):
        names = selected(**settings)
        assert len(names) == count, settings
        assert selected(**settings) == names, settings
        assert set(names) <= set(selected()), settings


def test_only_variants_of_the_training_examples_are_selected() -> None:
    """Otherwise a run on a tenth of the corpus would see all of it."""
    assert selected(TRAIN[:1]) == ["p0+style1", "p0+entity1", "p0+image1"]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_near_duplicates_of_held_out_posts_are_removed(split: str) -> None:
    leaking = replace(CORPUS, **{split: (replace(post("x"), words=(*VARIANTS[2].words, "!")),)})
    assert "p2+style1" not in selected(corpus=leaking)
    assert len(selected(corpus=leaking)) == 11


def test_style_and_image_variants_inherit_the_knowledge_of_their_parent() -> None:
    train = (replace(TRAIN[0], knowledge=(KNOWN,)), *TRAIN[1:])
    config = AugmentationConfig(kinds=tuple(VariantKind), share=10)
    knowledge = {each.id: each.knowledge for each in select_variants(train, CORPUS, config, seed=1)}
    assert (knowledge["p0+style1"], knowledge["p0+image1"], knowledge["p0+entity1"]) == ((KNOWN,), (KNOWN,), ())


def test_configuration_names_the_kinds() -> None:
    values = {"data": {"path": "x", "augmentation": {"kinds": ["style", "image"], "share": 0.5}}}
    config = ExperimentConfig.of(values)
    assert config.data.augmentation.kinds == (STYLE, IMAGE)
    assert "kinds = [" in config.to_toml()


def test_all_variants_of_the_sample_can_be_selected(sample: Corpus) -> None:
    """Each comes from a training post, resembles no held-out post, and has a known kind."""
    config = AugmentationConfig(kinds=tuple(VariantKind), share=10)
    usable = select_variants(sample.train, sample, config, seed=1)
    assert [post.id for post in usable] == [post.id for post in sample.augmented]
    assert {post.origin.kind for post in sample.augmented if post.origin} == {*VariantKind}
    assert select_variants(sample.train, sample, AugmentationConfig(), seed=1) == []
