"""Transfer of gold spans to changed words: every span is right, or the variant is rejected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotpd.core.records import Caption, Entity, Example, Relation, Span, TargetSentiment
from cotpd.core.splitting import Rule
from cotpd.knowledge.augmentation.projection import UnusableVariantError, project, replace_name, words_in


def post(text: str, *names: tuple[str, str], caption: str | None = None) -> Example:
    """Return a post in which each name is labelled at its next occurrence."""
    words, entities, position = text.split(), [], 0
    for name, label in names:
        size = len(name.split())
        start = next(at for at in range(position, len(words)) if words[at : at + size] == name.split())
        entities.append(Entity(Span(start, start + size), label))
        position = start + size
    return Example("1", tuple(words), tuple(entities), caption=Caption("1.jpg", caption) if caption else None)


def names_of(example: Example) -> list[tuple[str, str]]:
    return [(example.words_of(entity.span), entity.label) for entity in example.entities]


def reason(call: object, *arguments: object) -> str:
    with pytest.raises(UnusableVariantError) as rejected:
        call(*arguments)  # type: ignore[operator]
    return str(rejected.value)


PARENT = post("Kerr joins New York in May", ("Kerr", "PER"), ("New York", "LOC"))


@pytest.mark.parametrize("rule", Rule)
def test_names_are_found_at_their_new_places(rule: Rule) -> None:
    words = words_in("In May, New York welcomes Kerr! KERR!", rule)
    variant = project(PARENT, words, rule)
    assert variant.words == words
    assert names_of(variant) == [("New York", "LOC"), ("Kerr", "PER"), ("KERR", "PER")]


@pytest.mark.parametrize("text", ["Kerr joins York in May", "Ker joins New York", "", "NewYork and Kerr"])
def test_a_variant_with_a_lost_name_is_rejected(text: str) -> None:
    assert reason(project, PARENT, text.split(), Rule.FINE) == "name lost"


def test_short_names_keep_their_case() -> None:
    """The pronoun `us` is not the country `US`."""
    parent = post("US wins", ("US", "LOC"))
    assert reason(project, parent, ["they", "beat", "us"], Rule.FINE) == "name lost"
    assert names_of(project(parent, ["the", "US", "beat", "us"], Rule.FINE)) == [("US", "LOC")]


def test_a_name_inside_a_longer_one_is_not_labelled_twice() -> None:
    parent = post("Times and New York Times", ("New York Times", "ORG"))
    assert names_of(project(parent, ["the", "New", "York", "Times"], Rule.FINE)) == [("New York Times", "ORG")]


def test_a_name_with_two_labels_is_ambiguous() -> None:
    twice = post("Jordan in Jordan", ("Jordan", "PER"), ("Jordan", "LOC"))
    once = post("Jordan in Jordan", ("Jordan", "PER"))
    for parent in (twice, once):
        assert reason(project, parent, ("Jordan", "!"), Rule.FINE) == "ambiguous"


def test_hashtags_are_found_if_they_are_split_differently() -> None:
    parent = Example("1", ("Go", "#MUFC"), (Entity(Span(1, 2), "ORG"),))
    assert names_of(project(parent, words_in("so proud of #MUFC", Rule.FINE), Rule.FINE)) == [("# MUFC", "ORG")]


def test_relations_follow_their_arguments() -> None:
    """MNRE has relations without entities."""
    parent = Example("1", ("Ann", "of", "Acme"), relations=(Relation(Span(0, 1), Span(2, 3), "/per/org"),))
    variant = project(parent, ["At", "Acme", "there", "is", "Ann", "."], Rule.FINE)
    [relation] = variant.relations
    assert (variant.words_of(relation.head), variant.words_of(relation.tail)) == ("Ann", "Acme")
    assert variant.entities == ()
    assert reason(project, parent, ["At", "Acme", "there", "is", "Bob", "."], Rule.FINE) == "name lost"


def test_a_variant_with_equal_arguments_is_rejected() -> None:
    parent = Example("1", ("Kerr", "and", "Kerr"), relations=(Relation(Span(0, 1), Span(2, 3), "peer"),))
    assert reason(project, parent, ("Kerr",), Rule.FINE) == "name lost"


def test_a_name_is_replaced_everywhere_and_spans_move() -> None:
    parent = post(
        "Kerr and KERR of New York", ("Kerr", "PER"), ("KERR", "PER"), ("New York", "LOC"), caption="kerr, Kerry"
    )
    variant = replace_name(parent, parent.entities[0].span, ("Mary", "Ann", "Smith"))
    assert variant.text == "Mary Ann Smith and Mary Ann Smith of New York"
    assert names_of(variant) == [("Mary Ann Smith", "PER"), ("Mary Ann Smith", "PER"), ("New York", "LOC")]
    assert variant.caption
    assert variant.caption.text == "Mary Ann Smith, Kerry"


def test_relations_move_with_a_replaced_name() -> None:
    parent = Example(
        "1",
        ("Ann", "Lee", "of", "Acme"),
        (Entity(Span(0, 2), "PER"), Entity(Span(3, 4), "ORG")),
        (Relation(Span(0, 2), Span(3, 4), "member"),),
    )
    [relation] = replace_name(parent, Span(0, 2), ("Bo",)).relations
    assert (relation.head, relation.tail, relation.label) == (Span(0, 1), Span(2, 3), "member")


def test_a_name_that_also_occurs_without_label_is_not_replaced() -> None:
    """Otherwise a post would name two people, one of them without label."""
    parent = post("Kerr scores , well done Kerr", ("Kerr", "PER"))
    assert reason(replace_name, parent, Span(0, 1), ("Smith",)) == "name remains"


def test_a_name_with_two_types_is_not_replaced() -> None:
    parent = post("Jordan in Jordan", ("Jordan", "PER"), ("Jordan", "LOC"))
    assert reason(replace_name, parent, Span(0, 1), ("Smith",)) == "ambiguous"


def test_a_name_that_another_span_overlaps_is_not_replaced() -> None:
    parent = Example(
        "1", ("New", "York", "Times"), (Entity(Span(0, 2), "LOC"),), (Relation(Span(1, 3), Span(0, 2), "in"),)
    )
    assert reason(replace_name, parent, Span(0, 2), ("Rome",)) == "overlap"


@given(data=st.data())
def test_other_entities_stay_if_a_name_is_replaced(data: st.DataObject) -> None:
    names = [("Alpha", "A"), ("Beta Two", "B"), ("Gamma", "C")]
    order = data.draw(st.permutations(names))
    gaps = data.draw(st.lists(st.lists(st.sampled_from(["x", "y"]), max_size=2), min_size=4, max_size=4))
    text = " ".join(
        [*gaps[0], *(word for (name, _), gap in zip(order, gaps[1:], strict=True) for word in [name, *gap])]
    )
    parent = post(text, *order)
    chosen = data.draw(st.integers(0, 2))
    new = tuple(data.draw(st.lists(st.sampled_from(["New", "Name"]), min_size=1, max_size=3)))
    variant = replace_name(parent, parent.entities[chosen].span, new)
    expected = [(" ".join(new), label) if at == chosen else (name, label) for at, (name, label) in enumerate(order)]
    assert names_of(variant) == expected
    assert variant.text == text.replace(order[chosen][0], " ".join(new))


def test_targets_of_sentiments_move_with_their_names() -> None:
    parent = Example("1", ("Ann", "meets", "Rio"), sentiments=(TargetSentiment(Span(2, 3), "positive"),))
    variant = project(parent, ("In", "Rio", "we", "met", "Ann"), Rule.FINE)
    assert variant.sentiments == (TargetSentiment(Span(1, 2), "positive"),)
    with pytest.raises(UnusableVariantError, match="name lost"):
        project(parent, ("we", "met", "Ann"), Rule.FINE)
