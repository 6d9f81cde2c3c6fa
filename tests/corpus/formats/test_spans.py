"""Overlapping entities: the longest is kept."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.records import Entity, Span
from cotpd.corpus.defects import Defect
from cotpd.corpus.formats.parsing.reading import Reading
from cotpd.corpus.formats.parsing.spans import resolve_overlaps

_ENTITIES = st.builds(
    lambda start, size, label: Entity(Span(start, start + size), label),
    st.integers(0, 9),
    st.integers(1, 5),
    st.sampled_from("AB"),
)


@settings(max_examples=50)
@given(st.lists(_ENTITIES, max_size=9))
def test_longest_of_overlapping_entities_is_kept_and_reported(given: list[Entity]) -> None:
    kept: list[Entity] = []
    lost: list[str] = []
    for entity in sorted(dict.fromkeys(given), key=lambda entity: entity.span.start - entity.span.end):
        span = entity.span
        rival = next((k for k in kept if k.span.start < span.end and span.start < k.span.end), None)
        if rival is None:
            kept.append(entity)
        else:
            lost.append(f"[{span.start}, {span.end}) [{rival.span.start}, {rival.span.end})")
    defects: list[Defect] = []
    assert list(resolve_overlaps(given, "a:1", Reading(defects.append))) == sorted(kept, key=lambda entity: entity.span)
    for defect, names in zip(defects, lost, strict=True):
        assert all(name in defect.message for name in names.split(") "))
