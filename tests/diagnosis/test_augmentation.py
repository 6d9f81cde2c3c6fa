"""Augmentation is judged by the labels and the words of its variants. Decoding is replaced by made-up predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cotpd.core.records import Example, Origin, Prediction, VariantKind
from cotpd.corpus.corpus import Corpus
from cotpd.diagnosis import augmentation
from cotpd.diagnosis.augmentation import RunWithoutVariants, augmentation_finding
from cotpd.diagnosis.finding import Finding, FindingVerdict
from cotpd.evaluation import compare, evaluate

Answer = Callable[[Any, Example], Any]


def make_student() -> Any:
    return SimpleNamespace(design=SimpleNamespace(task="entities", deployed_view="text"))


def variant(parent: Example, kind: VariantKind, words: Iterable[str] = ()) -> Example:
    origin = Origin(parent.id, kind, "template", "model")
    return replace(parent, id=f"{parent.id}-{kind}", words=tuple(words) or parent.words, origin=origin)


@pytest.fixture
def written(sample: Corpus) -> list[Example]:
    return [example for example in sample.train if example.entities]


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Replace decoding: ``answer(student, example)`` gives the predicted entities."""

    def patch(answer: Answer) -> None:
        def decode(student: Any, examples: Sequence[Example], *, kind: Any) -> list[Prediction]:
            return [Prediction(one.id, one.words, answer(student, one)) for one in examples]

        monkeypatch.setattr(augmentation, "decode", decode)

    return patch


def is_style(example: Example) -> bool:
    return example.origin is not None and example.origin.kind is VariantKind.STYLE


def test_noise_and_drift_are_found(written: list[Example], sample: Corpus, predict: Callable[[Answer], None]) -> None:
    style = [variant(example, VariantKind.STYLE) for example in written[:8]]
    strange = [variant(each, VariantKind.STYLE, ("zz" + word for word in each.words)) for each in written[:8]]
    entity = [variant(example, VariantKind.ENTITY) for example in written[:4]]

    def find(variants: list[Example]) -> Finding:
        finding = augmentation_finding(make_student(), [*written, *variants, *entity], sample.dev, without=None)
        assert [row[:2] for row in finding.rows] == [("style", "8"), ("entity", "4")]
        return finding

    predict(lambda _, example: example.entities)
    assert find(style).verdict is FindingVerdict.ABSENT
    assert "train without variants of kind style" in str(find(strange)), "drift"
    predict(lambda _, example: () if is_style(example) else example.entities)
    assert "train without variants of kind style" in str(find(style)), "noise"


def test_a_run_that_is_worse_than_one_without_variants_is_found(
    written: list[Example], sample: Corpus, predict: Callable[[Answer], None]
) -> None:
    predict(lambda _, example: example.entities)
    perfect = evaluate([Prediction(one.id, one.words, one.entities) for one in sample.dev], sample.dev)
    empty = evaluate([Prediction(one.id, one.words) for one in sample.dev], sample.dev)
    without = RunWithoutVariants(make_student(), compare(empty, perfect))
    variants = [variant(example, VariantKind.STYLE) for example in written[:8]]
    finding = augmentation_finding(make_student(), [*written, *variants], sample.dev, without=without)
    assert finding.verdict is FindingVerdict.FOUND
    assert augmentation_finding(make_student(), written, sample.dev, without=None).verdict is FindingVerdict.UNKNOWN


def test_memorised_wrong_labels_are_found_by_a_student_without_variants(
    written: list[Example], sample: Corpus, predict: Callable[[Answer], None]
) -> None:
    student, other, parents = make_student(), make_student(), {example.id: example for example in written}
    wrong = [replace(one, entities=tuple(replace(e, label="WRONG") for e in one.entities)) for one in written[:8]]
    variants = [variant(one, VariantKind.STYLE) for one in wrong]
    variants += [variant(one, VariantKind.ENTITY) for one in written[:8]]

    def answer(reader: Any, example: Example) -> Any:
        is_variant = example.origin is not None and reader is other
        return parents[example.origin.parent].entities if is_variant and example.origin else example.entities

    predict(answer)
    half = evaluate(
        [Prediction(p.id, p.words, p.entities if n % 2 else ()) for n, p in enumerate(sample.dev)], sample.dev
    )
    train = [*written, *variants]
    alone = augmentation_finding(student, train, sample.dev, without=None)
    judged = augmentation_finding(student, train, sample.dev, without=RunWithoutVariants(other, compare(half, half)))
    assert (alone.verdict, judged.verdict) == (FindingVerdict.ABSENT, FindingVerdict.FOUND)
    assert "train without variants of kind style" in str(judged)


def test_variants_of_posts_with_several_pairs_are_measured(
    written: list[Example], sample: Corpus, predict: Callable[[Answer], None]
) -> None:
    predict(lambda _, example: example.entities)
    post = written[0]
    pairs = [replace(post, id=f"{post.id}#{number}") for number in (0, 1)]
    without_parent = variant(replace(post, id="too long for the encoder"), VariantKind.STYLE)
    train = [*pairs, variant(post, VariantKind.STYLE), without_parent]
    finding = augmentation_finding(make_student(), train, sample.dev, without=None)
    assert [row[:2] for row in finding.rows] == [("style", "2")]
