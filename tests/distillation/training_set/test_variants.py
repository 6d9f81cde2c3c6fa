"""Variants beside a corpus: read, mixed into training as configured, and never a way for held-out posts to leak in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cotpd.core.config import AugmentationConfig, ExperimentConfig
from cotpd.core.errors import DataError
from cotpd.core.files import write_jsonl
from cotpd.core.records import Caption, Entity, Example, Grain, Knowledge, Origin, Span, VariantKind
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.formats.jsonl import write
from cotpd.core.example_row import to_row
from cotpd.corpus.inspection import check
from cotpd.distillation.training_set.variants import variants_for

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


def chosen(train: tuple[Example, ...] = TRAIN, corpus: Corpus = CORPUS, **settings: object) -> list[str]:
    config = AugmentationConfig.model_validate({"kinds": tuple(VariantKind), "share": 10} | settings)
    return [each.id for each in variants_for(train, corpus, config, seed=1)]


def test_variants_read_back_the_same_and_are_part_of_no_split(data: Path) -> None:
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


def test_the_file_itself_can_be_read_as_a_corpus(data: Path) -> None:
    """To elicit knowledge about variants."""
    assert Corpus.from_path(data / "augmented.jsonl").unsplit == VARIANTS


def test_a_variant_of_nothing_is_an_error(data: Path) -> None:
    write(data / "augmented.jsonl", TRAIN)
    with pytest.raises(DataError, match=r"augmented.jsonl:1: no origin"):
        Corpus.from_path(data)


def test_none_is_trained_on_unless_it_is_configured() -> None:
    config = ExperimentConfig.of({"data": {"path": "x"}}).data.augmentation
    assert variants_for(TRAIN, CORPUS, config, seed=1) == []
    assert chosen() == [each.id for each in VARIANTS]


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"kinds": ("entity",)}, 4),
        ({"kinds": ("entity", "image")}, 8),
        ({"cap": 1}, 3),
        ({"share": 0.5}, 2),
        ({"share": 0.0}, 0),
        ({"kinds": ("style",), "cap": 3, "share": 0.5}, 2),
    ],
)
def test_kinds_share_and_cap_limit_what_is_mixed_in(settings: dict[str, object], count: int) -> None:
    names = chosen(**settings)
    assert len(names) == count
    assert chosen(**settings) == names
    assert set(names) <= set(chosen())


def test_only_variants_of_the_posts_trained_on_count() -> None:
    """Else a run on a tenth of the corpus would see all of it."""
    assert chosen(TRAIN[:1]) == ["p0+style1", "p0+entity1", "p0+image1"]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_no_near_duplicate_of_a_held_out_post_comes_in(split: str) -> None:
    leaking = replace(CORPUS, **{split: (replace(post("x"), words=(*VARIANTS[2].words, "!")),)})
    assert "p2+style1" not in chosen(corpus=leaking)
    assert len(chosen(corpus=leaking)) == 11


def test_variants_that_say_the_same_take_over_their_parents_knowledge() -> None:
    train = (replace(TRAIN[0], knowledge=(KNOWN,)), *TRAIN[1:])
    config = AugmentationConfig(kinds=tuple(VariantKind), share=10)
    found = {each.id: each.knowledge for each in variants_for(train, CORPUS, config, seed=1)}
    assert (found["p0+style1"], found["p0+image1"], found["p0+entity1"]) == ((KNOWN,), (KNOWN,), ())


def test_the_configuration_names_kinds() -> None:
    values = {"data": {"path": "x", "augmentation": {"kinds": ["style", "image"], "share": 0.5, "cap": 100}}}
    config = ExperimentConfig.of(values)
    assert config.data.augmentation.kinds == (STYLE, IMAGE)
    assert "kinds = [" in config.to_toml()


def test_the_variants_of_the_sample_may_be_trained_on(sample: Corpus) -> None:
    """Every one: of a training post, near no held-out one, of a kind that a configuration can name."""
    config = AugmentationConfig(kinds=tuple(VariantKind), share=10)
    usable = variants_for(sample.train, sample, config, seed=1)
    assert [post.id for post in usable] == [post.id for post in sample.augmented]
    assert {post.origin.kind for post in sample.augmented if post.origin} == {*VariantKind}
    assert variants_for(sample.train, sample, AugmentationConfig(), seed=1) == []
