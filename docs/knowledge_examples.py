"""Write docs/research/knowledge-examples.md from the sample's recorded answers and a reader's judgements.

`make docs` runs this program, and a test fails if the page is out of date.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from cotpd.core.records import Example, Grain, Knowledge, Rejection, VariantKind
from cotpd.corpus.corpus import Corpus
from cotpd.knowledge.quality import measure

PAGE = Path(__file__).parent / "research" / "knowledge-examples.md"
JUDGEMENTS = Path(__file__).with_suffix(".toml")
SAMPLE = Path(str(files("cotpd") / "sample"))
NUM_POSTS, STEP = 100, 10
KINDS = (*Grain, *VariantKind)
VERDICTS = ("good", "partly", "bad")

HEAD = f"""# Examples of knowledge and variants

What a small language model, Qwen2.5-Coder-1.5B-Instruct in four bits, answers about the first {NUM_POSTS} training
posts of the [sample corpus](../../src/cotpd/sample/README.md), and which answers are kept:

```
cotpd elicit sample --model qwen2.5-coder-1.5b-instruct-q4_k_m.gguf
cotpd augment sample --model qwen2.5-coder-1.5b-instruct-q4_k_m.gguf --limit {NUM_POSTS} --images all
```

`make docs` writes this page from the recorded answers in the sample and from a reader's judgements in
`docs/knowledge_examples.toml`."""

LESSONS = """\
The sentence and multimodality answers of a model this small are usable. Its noun answers list more than names, and the
*grounded* figure does not reveal that, because everything in the post counts as grounded. Its variants are weaker: a
rewritten post can say the opposite, and the model answers yes to nine in ten fact questions, also to implausible ones.
So training ignores variants by default; use a stronger model for them first."""


WORDINGS = """\
## The second wording

```
cotpd elicit sample --model qwen2.5-coder-1.5b-instruct-q4_k_m.gguf --split train --limit 40 \\
    --grain noun --grain sentence --wording v2
```

The figures of the first forty posts in both wordings; no answer was rejected:

| grain, wording | answers | words | grounded | refused | duplicates | diversity |
|---|---:|---:|---:|---:|---:|---:|
| noun, v1 | 40 | 24.6 | 49.9% | 0.0% | 10.0% | 0.70 |
| noun, v2 | 40 | 25.9 | 39.1% | 0.0% | 25.0% | 0.48 |
| sentence, v1 | 40 | 34.9 | 67.6% | 0.0% | 0.0% | 0.74 |
| sentence, v2 | 40 | 32.2 | 71.0% | 0.0% | 0.0% | 0.75 |

The sentence wordings are equally good. Asked for the deciding clue before the kind of a name (noun, v2), this model
finds fewer names and copies clues from the template's examples: it calls an airline "a news account"."""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the text of the page."""
    corpus = Corpus.sample()
    posts = corpus.train[:NUM_POSTS]
    judgements = tomllib.loads(JUDGEMENTS.read_text(encoding="utf-8"))
    parts = [HEAD, *figures(posts), *verdicts(judgements), LESSONS, WORDINGS, "## Every tenth post"]
    texts = variants(corpus)
    for post in posts[STEP - 1 :: STEP]:
        parts += section(post, texts, judgements[post.id])
    return "\n\n".join(parts) + "\n"


def figures(posts: tuple[Example, ...]) -> Iterator[str]:
    """Yield the section with the quality figures and the reasons of rejections."""
    ids = {post.id for post in posts}
    knowledge = [answer for post in posts for answer in post.knowledge]
    rejected = [row for row in rows("rejections.jsonl") if row["example_id"] in ids]
    rejections = [Rejection(row["example_id"], Grain(row["grain"]), row["reason"], row["answer"]) for row in rejected]
    yield "## Figures"
    yield quality(posts, knowledge, rejections)
    yield "[The guide](../guides/asking.md#read-the-result) explains the figures. Rejections by reason:"
    yield losses(knowledge, rejections)


def quality(posts: tuple[Example, ...], knowledge: list[Knowledge], rejections: list[Rejection]) -> str:
    """Return the table of the quality figures of each grain."""
    lines = [
        "| grain | answers | words | grounded | refused | duplicates | diversity |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for grain, found in measure(knowledge, rejections, (post.post for post in posts)).items():
        shares = f"{found.grounding:.1%} | {found.refused:.1%} | {found.duplicates:.1%} | {found.diversity:.2f}"
        lines.append(f"| {grain} | {found.answers} | {found.words:.1f} | {shares} |")
    return "\n".join(lines)


def losses(knowledge: list[Knowledge], rejections: list[Rejection]) -> str:
    """Return the table of kept and rejected answers and variants of each kind."""
    kept = Counter(str(answer.grain) for answer in knowledge)
    kept.update(str(row["origin"]["kind"]) for row in rows("augmented.jsonl"))
    reasons = Counter((str(each.grain), each.reason) for each in rejections)
    reasons.update((row["kind"], row["reason"]) for row in rows("augmented.rejections.jsonl"))
    lines = ["| kind | tried | kept | rejected |", "|---|---:|---:|---|"]
    for kind in KINDS:
        lost = {reason: count for (of, reason), count in reasons.most_common() if of == kind}
        tried = kept[kind] + sum(lost.values())
        shares = ", ".join(f"{count / tried:.0%} {reason}" for reason, count in lost.items()) or "none"
        lines.append(f"| {kind} | {tried} | {kept[kind]} | {shares} |")
    return "\n".join(lines)


def verdicts(judgements: dict[str, dict[str, str]]) -> Iterator[str]:
    """Yield the table of the reader's verdicts."""
    counts = Counter(
        (kind, verdict.partition(":")[0]) for each in judgements.values() for kind, verdict in each.items()
    )
    lines = ["| of ten | " + " | ".join(VERDICTS) + " |", "|---|---:|---:|---:|"]
    lines += [f"| {kind} | " + " | ".join(str(counts[kind, verdict]) for verdict in VERDICTS) + " |" for kind in KINDS]
    yield "A reader's judgement of the examples below; a justified rejection counts as good:"
    yield "\n".join(lines)


def section(post: Example, texts: dict[str, str], judgements: dict[str, str]) -> Iterator[str]:
    """Yield one post with its answers and variants."""
    caption = f"*{post.caption.text}*" if post.caption else "no picture"
    gold = ", ".join(f"{post.words_of(entity.span)} ({entity.label})" for entity in post.entities)
    yield f"**{post.id}** {post.text}\\\nPicture: {caption}\\\nEntities: {gold}"
    answers = {str(answer.grain): answer.text for answer in post.knowledge}
    answers |= {kind: texts[f"{post.id}+{kind}1"] for kind in VariantKind}
    lines = ["| kind | answer | judgement |", "|---|---|---|"]
    lines += [f"| {kind} | {cell(answers[kind])} | {judgements[kind]} |" for kind in KINDS]
    yield "\n".join(lines)


def variants(corpus: Corpus) -> dict[str, str]:
    """Return the text of each kept variant, or the reason of its rejection, by id."""
    found = {post.id: post.text for post in corpus.augmented}
    found |= {
        post.id: post.caption.text
        for post in corpus.augmented
        if post.image_id is None and "+image" in post.id and post.caption
    }
    return found | {
        row["id"]: f"rejected, {row['reason']}: {row['answer']}" for row in rows("augmented.rejections.jsonl")
    }


def rows(name: str) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file of the sample."""
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


def cell(text: str) -> str:
    """Return a text escaped for a table cell."""
    return text.replace("|", "\\|").replace("\n", "<br>")


if __name__ == "__main__":
    main()
