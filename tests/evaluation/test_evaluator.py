"""Scores agree with seqeval, nervaluate and manual counts, and mismatched predictions are rejected."""

import importlib.util
import json
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nervaluate import Evaluator
from nervaluate.entities import EvaluationResult

from cotpd.core.errors import DataError, UsageError
from cotpd.core.labels import to_entities, to_tags
from cotpd.core.records import NO_RELATION, Entity, Example, Prediction, Relation, Span
from cotpd.corpus.corpus import Corpus
from cotpd.evaluation import Predictor, Scores, evaluate
from cotpd.evaluation.matching import (
    Boundaries,
    ExactEntities,
    ExactRelations,
    MatchingRule,
    Mode,
    Overlap,
    SeenEntities,
    Task,
    surfaces_of,
)

Tags = list[str]
TYPES = ("PER", "LOC", "geo-loc")
EXACT = ExactEntities()
TAGS = ("O", *(f"{prefix}-{name}" for prefix in "BI" for name in TYPES))

deterministic = settings(deadline=None, derandomize=True, max_examples=60)


@st.composite
def tagged_posts(draw: st.DrawFn, tags: tuple[str, ...] = TAGS) -> tuple[list[Tags], list[Tags]]:
    """Draw gold and predicted tags of a few posts, often equal and often ill-formed."""
    gold = draw(st.lists(st.lists(st.sampled_from(tags), min_size=1, max_size=8), min_size=1, max_size=4))
    change = st.one_of(st.none(), st.sampled_from(tags))
    predicted = [[draw(change) or tag for tag in post] for post in gold]
    return gold, predicted


def score(gold: list[Tags], predicted: list[Tags], mode: Mode = "conlleval", rule: MatchingRule = EXACT) -> Scores:
    examples = [Example(str(i), tuple("w" * len(t)), to_entities(t)) for i, t in enumerate(gold)]
    predictions = [Prediction(str(i), tuple("w" * len(t)), to_entities(t)) for i, t in enumerate(predicted)]
    return evaluate(predictions, examples, mode=mode, rule=rule, resamples=0)


DATA = Path(__file__).with_name("data")
SEQEVAL: dict[str, list[dict[str, Any]]] = json.loads((DATA / "seqeval.json").read_text(encoding="utf-8"))


def test_exact_scores_agree_with_seqeval() -> None:
    assert len(SEQEVAL["scores"]) > 100
    for case in SEQEVAL["scores"]:
        scores = score(case["gold"], case["predicted"], case["mode"])
        assert [counts.support for counts in scores.by_type.values()] == [row[3] for row in case["types"]]
        for counts, row in zip(scores.by_type.values(), case["types"], strict=True):
            assert counts.rates == pytest.approx(row[:3])
        assert scores.micro == pytest.approx(case["micro"])
        assert scores.macro == pytest.approx(case["macro"])


def test_the_expected_values_are_those_of_the_installed_seqeval() -> None:
    """seqeval is optional: see data/make_seqeval.py."""
    pytest.importorskip("seqeval")
    spec = importlib.util.spec_from_file_location("make_seqeval", DATA / "make_seqeval.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert json.loads(json.dumps(maker.expected_values())) == SEQEVAL


def nervaluated(gold: list[Tags], predicted: list[Tags], strategy: str) -> EvaluationResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Evaluator(gold, predicted, tags=list(TYPES), loader="list").evaluate()["overall"][strategy]


@deterministic
@given(tagged_posts())
def test_exact_and_boundary_scores_agree_with_nervaluate(posts: tuple[list[Tags], list[Tags]]) -> None:
    gold, predicted = posts
    for rule, strategy in ((EXACT, "strict"), (Boundaries(), "exact")):
        theirs, ours = nervaluated(gold, predicted, strategy), score(gold, predicted, rule=rule)
        assert ours.total == (theirs.correct, theirs.actual, theirs.possible)
        assert ours.micro == pytest.approx((theirs.precision, theirs.recall, theirs.f1))


@deterministic
@given(tagged_posts())
def test_overlap_scores_are_at_least_those_of_nervaluate_and_equal_without_ambiguity(
    posts: tuple[list[Tags], list[Tags]],
) -> None:
    gold, predicted = posts
    theirs, ours = nervaluated(gold, predicted, "ent_type"), score(gold, predicted, rule=Overlap())
    assert ours.total[1:] == (theirs.actual, theirs.possible)
    assert ours.total.correct >= theirs.correct
    if all(_unambiguous(to_entities(one), to_entities(other)) for one, other in zip(gold, predicted, strict=True)):
        assert ours.total.correct == theirs.correct


def _unambiguous(gold: Iterable[Entity], predicted: Iterable[Entity]) -> bool:
    pairs = [(e, p) for e in gold for p in predicted if e.span.start < p.span.end and p.span.start < e.span.end]
    return all(len({pair[side] for pair in pairs}) == len(pairs) for side in (0, 1))


@deterministic
@given(st.lists(st.sampled_from(TAGS), max_size=10), st.lists(st.sampled_from(TAGS), max_size=10))
def test_overlap_rule_finds_a_maximum_matching(one: Tags, other: Tags) -> None:
    length = max(len(one), len(other), 1)
    gold, predicted = ([*tags, *["O"] * (length - len(tags))] for tags in (one, other))
    assert score([gold], [predicted], rule=Overlap()).total.correct == _maximum_matching(
        to_entities(gold), to_entities(predicted)
    )


def _maximum_matching(gold: tuple[Entity, ...], predicted: tuple[Entity, ...]) -> int:
    if not gold:
        return 0
    first, rest = gold[0], gold[1:]
    partners = [
        entity
        for entity in predicted
        if entity.label == first.label and entity.span.start < first.span.end and first.span.start < entity.span.end
    ]
    taken = (1 + _maximum_matching(rest, tuple(e for e in predicted if e is not partner)) for partner in partners)
    return max([_maximum_matching(rest, predicted), *taken])


def test_scores_match_manual_counts() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-PER", "O"]]
    predicted = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "B-PER", "O"]]
    scores = score(gold, predicted)
    assert scores.by_type == {"LOC": (0, 1, 1), "PER": (2, 3, 2)}
    assert scores.micro == pytest.approx((2 / 4, 2 / 3, 4 / 7))
    assert scores.macro == pytest.approx((1 / 3, 1 / 2, 0.4))
    assert scores.per_post.tolist() == [[1, 2, 2], [1, 2, 1]]
    assert score(gold, predicted, rule=Boundaries()).total == (3, 4, 3)


def test_strict_mode_ignores_entities_that_begin_with_an_i_tag_in_gold_and_predictions() -> None:
    gold, predicted = [["I-PER", "O", "B-LOC", "I-PER"]], [["I-PER", "O", "B-LOC", "O"]]
    assert score(gold, predicted).total == (2, 2, 3)
    assert score(gold, predicted, "strict").total == (1, 1, 1)


def test_entity_counts_of_twitter2015_match_published_figures(shared: Path, tmp_path: Path) -> None:
    """53 gold entities begin with an I- tag; well-formed predictions of them are false in strict mode."""
    (tmp_path / "valid.txt").symlink_to(shared / "twitter2015" / "valid.txt")
    dev = Corpus.from_path(tmp_path).dev
    perfect = [Prediction(example.id, example.words, example.entities) for example in dev]
    assert [evaluate(perfect, dev, mode=mode).total for mode in ("conlleval", "strict")] == [(1594,) * 3, (1541,) * 3]
    reread = [Prediction(e.id, e.words, to_entities(to_tags(e.entities, len(e.words)))) for e in dev]
    assert evaluate(reread, dev, mode="strict").total == (1541, 1594, 1541)


def test_duplicate_prediction_is_correct_once() -> None:
    entity = Entity(Span(0, 1), "PER")
    example, prediction = Example("a", ("x",), (entity,)), Prediction("a", ("x",), (entity, entity))
    rules: list[MatchingRule] = [EXACT, Boundaries(), Overlap()]
    assert [evaluate([prediction], [example], rule=rule).total for rule in rules] == [(1, 2, 1)] * 3


def test_pairs_without_a_relation_are_not_counted() -> None:
    words, spans = tuple("abcd"), [Span(i, i + 1) for i in range(4)]

    def relation(head: int, tail: int, label: str) -> Relation:
        return Relation(spans[head], spans[tail], label)

    gold = [
        Example("1", words, relations=(relation(0, 1, "peer"), relation(1, 2, NO_RELATION))),
        Example("2", words, relations=(relation(0, 1, "member_of"),)),
        Example("3", words, relations=(relation(0, 1, NO_RELATION),)),
    ]
    predicted = [
        Prediction("1", words, relations=(relation(0, 1, "peer"), relation(1, 2, "peer"))),
        Prediction("2", words, relations=(relation(1, 0, "member_of"),)),
        Prediction("3", words, relations=(relation(0, 1, NO_RELATION),)),
    ]
    scores = evaluate(predicted, gold, rule=ExactRelations())
    assert (scores.task, scores.by_type) == ("relations", {"member_of": (0, 1, 1), "peer": (1, 2, 1)})
    assert scores.total == (1, 3, 2)
    assert "mode" not in scores.heading


def test_seen_and_unseen_entities_add_up_to_the_exact_counts() -> None:
    train = [Example("t", ("Old", "Trafford"), (Entity(Span(0, 2), "LOC"),))]
    words = ("old", "trafford", "and", "Messi")
    gold = [Example("a", words, (Entity(Span(0, 2), "ORG"), Entity(Span(3, 4), "PER")))]
    predicted = [Prediction("a", words, (Entity(Span(0, 2), "LOC"), Entity(Span(3, 4), "PER")))]
    scores = evaluate(predicted, gold, rule=SeenEntities({"seen": surfaces_of(train)}))
    assert scores.by_type == {"seen": (0, 1, 1), "unseen": (1, 1, 1)}
    assert scores.total == evaluate(predicted, gold).total


EXAMPLES = [Example(name, ("x", "y"), (Entity(Span(0, 1), "PER"),)) for name in ("a", "b")]
PERFECT = [Prediction(example.id, example.words, example.entities) for example in EXAMPLES]
LONG = Span(1, 3)


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (PERFECT[:1], "b: not predicted"),
        ([*PERFECT, PERFECT[0]], "a: two predictions have this id"),
        ([*PERFECT, Prediction("c", ("x",))], "c: predicted, but not among"),
        ([PERFECT[0], Prediction("b", ("x", "z"))], "b: word 2 is 'z' in the prediction and 'y' in gold"),
        ([PERFECT[0], Prediction("b", ("x", "y"), (Entity(LONG, "PER"),))], r"b: the predicted span \[1, 3\)"),
        ([PERFECT[0], Prediction("b", ("x", "y"), (), (Relation(Span(0, 1), LONG, "peer"),))], r"b: .* \[1, 3\)"),
    ],
)
def test_error_names_the_example_that_does_not_match_gold(predicted: list[Prediction], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(predicted, EXAMPLES)


def test_duplicate_or_missing_gold_and_unknown_mode_are_rejected() -> None:
    with pytest.raises(DataError, match="a: two gold examples have this id"):
        evaluate(PERFECT, [*EXAMPLES, EXAMPLES[0]])
    with pytest.raises(DataError, match="no examples to score"):
        evaluate([], [])
    with pytest.raises(UsageError, match="'lenient'; choose conlleval or strict"):
        evaluate(PERFECT, EXAMPLES, mode="lenient")  # type: ignore[arg-type]


def test_order_of_predictions_does_not_matter() -> None:
    scores = evaluate(reversed(PERFECT), iter(EXAMPLES))
    assert scores.ids == ("a", "b")
    assert scores.micro_f1 == 1.0


class Oracle:
    """A predictor that returns the gold entities."""

    def predict(self, examples: Iterable[Example]) -> Iterator[Prediction]:
        for example in examples:
            yield Prediction(example.id, example.words, example.entities)


def test_evaluate_accepts_a_predictor() -> None:
    assert isinstance(Oracle(), Predictor)
    assert evaluate(Oracle(), iter(EXAMPLES)).micro_f1 == 1.0


class RelationOracle:
    """A predictor that returns the gold relations."""

    task: Task = "relations"

    def predict(self, examples: Iterable[Example]) -> Iterator[Prediction]:
        for example in examples:
            yield Prediction(example.id, example.words, relations=example.relations)


PAIRS = [Example("a", ("x", "y"), relations=(Relation(Span(0, 1), Span(1, 2), "peer"),))]
RELATED = list(RelationOracle().predict(PAIRS))


def test_default_rule_follows_the_task_of_the_predictor_otherwise_of_gold() -> None:
    both = [Example("a", ("x", "y"), EXAMPLES[0].entities, relations=PAIRS[0].relations)]
    assert evaluate(RelationOracle(), both).task == evaluate(RELATED, PAIRS).task == "relations"
    assert evaluate(RELATED, both).task == "entities"


def test_rule_of_another_task_than_the_predictor_is_rejected() -> None:
    with pytest.raises(UsageError, match="trained on relations, and the rule scores entities"):
        evaluate(RelationOracle(), PAIRS, rule=EXACT)


def test_scores_are_zero_without_gold_and_predictions() -> None:
    scores = evaluate([Prediction("a", ("x",))], [Example("a", ("x",))])
    assert scores.micro == scores.macro == (0, 0, 0)
    assert scores.interval == (0, 0)
    assert "micro" in str(scores)
