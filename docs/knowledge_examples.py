"""Write docs/knowledge-examples.md from the recorded answers of the sample and what a reader thinks of them.

`make docs` runs this, and a test fails where the page has fallen behind.
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

PAGE = Path(__file__).parent / "knowledge-examples.md"
JUDGEMENTS = PAGE.with_name("knowledge_examples.toml")
SAMPLE = Path(str(files("cotpd") / "sample"))
NUM_POSTS, STEP = 100, 10
KINDS = (*Grain, *VariantKind)
VERDICTS = ("good", "partly", "bad")

HEAD = f"""# Knowledge and variants: ten of each

What a small language model, Qwen2.5-Coder-1.5B-Instruct in four bits on one thread of a processor, says about the first
{NUM_POSTS} training posts of the [sample](../src/cotpd/sample/README.md), and what is kept of it:

```
cotpd elicit src/cotpd/sample --model qwen2.5-coder-1.5b-instruct-q4_k_m.gguf
cotpd augment src/cotpd/sample --model qwen2.5-coder-1.5b-instruct-q4_k_m.gguf --limit {NUM_POSTS} --images all
```

The answers are recorded in the sample; `make docs` counts them, sets a reader's judgements beside them
(`docs/knowledge_examples.toml`) and writes this page."""

LESSONS = """\
Of a model this small one can take the sentence and multimodality grains as they are. Its noun grain lists more than
names, which grounding does not punish: whatever the post holds is grounded. Its variants are the weaker half: a
rewritten post can say the opposite, and the fact question, to which this model says yes nine times in ten, lets pass
what nobody would believe. So nothing trains on them unless a configuration says so; a stronger model pays here
first."""


WORDINGS = """\
## The second wording

```
cotpd elicit src/cotpd/sample --model qwen2.5-coder-1.5b-instruct-q4_k_m.gguf --split train --limit 40 \\
    --grain noun --grain sentence --wording v2
```

The same figures of the first forty posts, in both wordings:

| grain, wording | answers | words | grounded | refused | duplicates | diversity |
|---|---:|---:|---:|---:|---:|---:|
| noun, v1 | 40 | 24.6 | 49.9% | 0.0% | 10.0% | 0.70 |
| noun, v2 | 40 | 25.9 | 39.1% | 0.0% | 25.0% | 0.48 |
| sentence, v1 | 40 | 34.9 | 67.6% | 0.0% | 0.0% | 0.74 |
| sentence, v2 | 40 | 32.2 | 71.0% | 0.0% | 0.0% | 0.75 |

None was rejected. Asked for the clue that decides before the kind, a model this small finds fewer names and takes clues
from the examples of the template: it calls an airline "a news account". The wordings of a sentence are equally good."""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The text of the page."""
    corpus = Corpus.sample()
    posts = corpus.train[:NUM_POSTS]
    judgements = tomllib.loads(JUDGEMENTS.read_text(encoding="utf-8"))
    parts = [HEAD, *figures(posts), *verdicts(judgements), LESSONS, WORDINGS, "## Every tenth post"]
    made = variants(corpus)
    for post in posts[STEP - 1 :: STEP]:
        parts += section(post, made, judgements[post.id])
    return "\n\n".join(parts) + "\n"


def figures(posts: tuple[Example, ...]) -> Iterator[str]:
    """How good the answers look without a reader, and why which were rejected."""
    ids = {post.id for post in posts}
    knowledge = [answer for post in posts for answer in post.knowledge]
    rejected = [row for row in rows("rejections.jsonl") if row["example_id"] in ids]
    rejections = [Rejection(row["example_id"], Grain(row["grain"]), row["reason"], row["answer"]) for row in rejected]
    yield "## Figures"
    yield quality(posts, knowledge, rejections)
    yield "[What they mean](asking.md#what-comes-back). What was not kept, by cause:"
    yield losses(knowledge, rejections)


def quality(posts: tuple[Example, ...], knowledge: list[Knowledge], rejections: list[Rejection]) -> str:
    """The figures of each grain."""
    lines = [
        "| grain | answers | words | grounded | refused | duplicates | diversity |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for grain, found in measure(knowledge, rejections, (post.post for post in posts)).items():
        shares = f"{found.grounding:.1%} | {found.refused:.1%} | {found.duplicates:.1%} | {found.diversity:.2f}"
        lines.append(f"| {grain} | {found.answers} | {found.words:.1f} | {shares} |")
    return "\n".join(lines)


def losses(knowledge: list[Knowledge], rejections: list[Rejection]) -> str:
    """What was asked, kept and rejected of each kind."""
    kept = Counter(str(answer.grain) for answer in knowledge)
    kept.update(str(row["origin"]["kind"]) for row in rows("augmented.jsonl"))
    reasons = Counter((str(each.grain), each.reason) for each in rejections)
    reasons.update((row["kind"], row["reason"]) for row in rows("augmented.rejections.jsonl"))
    lines = ["| kind | tried | kept | rejected |", "|---|---:|---:|---|"]
    for kind in KINDS:
        lost = {reason: count for (of, reason), count in reasons.most_common() if of == kind}
        tried = kept[kind] + sum(lost.values())
        told = ", ".join(f"{count / tried:.0%} {reason}" for reason, count in lost.items()) or "none"
        lines.append(f"| {kind} | {tried} | {kept[kind]} | {told} |")
    return "\n".join(lines)


def verdicts(judgements: dict[str, dict[str, str]]) -> Iterator[str]:
    """How often a reader found what."""
    counts = Counter(
        (kind, verdict.partition(":")[0]) for each in judgements.values() for kind, verdict in each.items()
    )
    lines = ["| of ten | " + " | ".join(VERDICTS) + " |", "|---|---:|---:|---:|"]
    lines += [f"| {kind} | " + " | ".join(str(counts[kind, verdict]) for verdict in VERDICTS) + " |" for kind in KINDS]
    yield "A reader's judgement of those below, where a right rejection is good:"
    yield "\n".join(lines)


def section(post: Example, made: dict[str, str], judged: dict[str, str]) -> Iterator[str]:
    """One post with all that was made of it."""
    caption = f"*{post.caption.text}*" if post.caption else "no picture"
    gold = ", ".join(f"{post.words_of(entity.span)} ({entity.label})" for entity in post.entities)
    yield f"**{post.id}** {post.text}\\\nPicture: {caption}\\\nEntities: {gold}"
    said = {str(answer.grain): answer.text for answer in post.knowledge}
    said |= {kind: made[f"{post.id}+{kind}1"] for kind in VariantKind}
    lines = ["| kind | what was said | judgement |", "|---|---|---|"]
    lines += [f"| {kind} | {cell(said[kind])} | {judged[kind]} |" for kind in KINDS]
    yield "\n".join(lines)


def variants(corpus: Corpus) -> dict[str, str]:
    """What became of each variant, by id."""
    found = {post.id: post.text for post in corpus.augmented}
    found |= {
        post.id: post.caption.text
        for post in corpus.augmented
        if post.image_id is None and "+image" in post.id and post.caption
    }
    return found | {
        row["id"]: f"rejected, {row['reason']}: {row['answer']}" for row in rows("augmented.rejections.jsonl")
    }


def is_of(kind: VariantKind, post: Example) -> bool:
    """Whether a post was made so."""
    return post.origin is not None and post.origin.kind is kind


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a file of the sample."""
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


def cell(text: str) -> str:
    """A text inside of a table."""
    return text.replace("|", "\\|").replace("\n", "<br>")


if __name__ == "__main__":
    main()
