"""Selection of augmented examples (variants) for training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from cotpd.core.config import AugmentationConfig
from cotpd.core.files import hash_text
from cotpd.core.overlap import similar_texts
from cotpd.core.records import Example, VariantKind
from cotpd.corpus.corpus import Corpus

logger = logging.getLogger(__name__)


def select_variants(
    train: Sequence[Example], corpus: Corpus, config: AugmentationConfig, *, seed: int
) -> list[Example]:
    """Return the variants to train on together with ``train``, in file order.

    Variants of other examples are not selected, so that a run on a share of the corpus does not use the rest.
    Near-duplicates of dev and test posts are removed. A style or image variant without knowledge inherits the knowledge
    of its parent, because both have the same content. Every variant gets the image id and the post id of its parent, so
    that both belong to the same fold.

    Args:
        train: The training examples.
        corpus: The corpus with the variants and the dev and test examples.
        config: The kinds of variants, and their number as a share of ``train``.
        seed: The seed of the random selection.
    """
    parents = {example.id: example for example in train}
    variants = [example for example in corpus.augmented if example.origin and example.origin.parent in parents]
    held_out = (*corpus.dev, *corpus.test)
    leaks = {pair.second for pair in similar_texts(held_out, variants)} if config.kinds else set()
    if leaks:
        logger.info("removed %d variants that are near-duplicates of dev or test posts", len(leaks))
    usable = [variant for number, variant in enumerate(variants) if number not in leaks]
    candidates = [variant for variant in usable if variant.origin and variant.origin.kind in config.kinds]
    limit = round(config.share * len(train))
    shuffled = sorted(candidates, key=lambda variant: hash_text(str(seed), variant.id))
    selected = {variant.id for variant in shuffled[:limit]}
    return [_complete(variant, parents) for variant in usable if variant.id in selected]


def _complete(variant: Example, parents: dict[str, Example]) -> Example:
    """Add the image id, post id and, if appropriate, the knowledge of the parent."""
    assert variant.origin
    parent = parents[variant.origin.parent]
    has_own_knowledge = variant.knowledge or variant.origin.kind is VariantKind.ENTITY
    knowledge = variant.knowledge if has_own_knowledge else parent.knowledge
    return replace(variant, image_id=parent.image_id, knowledge=knowledge, part_of=parent.post_id)
