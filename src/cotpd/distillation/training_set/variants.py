"""Variants of training posts mixed in among them: as many as a configuration allows, and never a held-out post."""

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


def variants_for(train: Sequence[Example], corpus: Corpus, config: AugmentationConfig, *, seed: int) -> list[Example]:
    """The variants to train on beside these training posts, in the order of the file.

    Only variants of these posts count, so that a share of the corpus stays that share; the seed draws which. Those
    that are near-duplicates of a dev or test post are left out, whatever file they come from. A variant that says what
    its parent says (another voice, another picture) takes over its parent's knowledge where it has none of its own. All
    have their parent's image id and are part of its post, by which both lie in one fold.
    """
    parents = {post.id: post for post in train}
    own = [post for post in corpus.augmented if post.origin and post.origin.parent in parents]
    leaks = {overlap.second for overlap in similar_texts((*corpus.dev, *corpus.test), own)} if config.kinds else set()
    if leaks:
        logger.info("%d variants are near-duplicates of dev or test posts and left out", len(leaks))
    usable = [post for number, post in enumerate(own) if number not in leaks]
    drawn = sorted(usable, key=lambda post: hash_text(str(seed), post.id))
    chosen: list[Example] = []
    for kind in config.kinds:
        chosen += [post for post in drawn if post.origin and post.origin.kind is kind]
    most = round(config.share * len(train))
    kept = {post.id for post in sorted(chosen, key=lambda post: hash_text(str(seed), post.id))[:most]}
    return [_informed(post, parents) for post in usable if post.id in kept]


def _informed(variant: Example, parents: dict[str, Example]) -> Example:
    assert variant.origin
    parent = parents[variant.origin.parent]
    is_known = variant.knowledge or variant.origin.kind is VariantKind.ENTITY
    knowledge = variant.knowledge if is_known else parent.knowledge
    return replace(variant, image_id=parent.image_id, knowledge=knowledge, part_of=parent.post_id)
