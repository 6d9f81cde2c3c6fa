"""The page on rerunning the paper is true: its configurations are valid, its hashes known, its example as printed."""

from __future__ import annotations

import math
import re
import shlex
from itertools import pairwise
from pathlib import Path

from cotpd.core.config import ExperimentConfig
from cotpd.corpus.known_files import KNOWN
from cotpd.knowledge.pgim import import_answers

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "research" / "rerun-the-paper.md").read_text(encoding="utf-8")
RECIPE = re.compile(r"`([\w-]+\.toml)((?: --set [^`\s]+)*)`")
CHANGES = re.compile(r"^`((?:--set [^`\s]+ ?)+)`$")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def values_of_set(words: list[str]) -> list[str]:
    return [value for option, value in pairwise(words) if option == "--set"]


def recipe_rows() -> list[list[str]]:
    """Return the cells of each row of the table of recipes: number, name, configuration, changes by corpus."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()]
    return [row for row in rows if len(row) == 6 and RECIPE.search(row[2])]


def test_every_command_names_a_valid_configuration() -> None:
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    commands = [words for line in lines if (words := shlex.split(line))[:2] == ["cotpd", "distill"]]
    assert len(commands) > 4
    for words in commands:
        config = ExperimentConfig.read(ROOT / words[2], values_of_set(words))
        assert config.corpus
        assert str(config.corpus.path) in {"data/twitter2017", "data/mnre"}


def test_every_recipe_of_the_table_is_valid_for_each_corpus() -> None:
    rows = recipe_rows()
    assert [row[0] for row in rows] == [str(number) for number in range(1, 9)]
    for row in rows:
        for name, changes in RECIPE.findall(row[2]):
            for cell in ("", *row[3:]):
                more = CHANGES.fullmatch(cell)
                words = shlex.split(f"{changes} {more.group(1) if more else ''}")
                ExperimentConfig.read(ROOT / "configs" / "paper" / name, values_of_set(words))


def test_every_configuration_of_the_paper_is_in_the_table() -> None:
    named = {name for row in recipe_rows() for name, _ in RECIPE.findall(row[2])}
    assert named == {path.name for path in (ROOT / "configs" / "paper").glob("*.toml")}


def test_hashes_are_those_of_the_known_files() -> None:
    listed = dict(re.findall(r"^\| ([\w-]+ \w+) \| `([0-9a-f]{64})` \|$", PAGE, re.MULTILINE))
    known = {f"{version.corpus} {version.split}": sha256 for sha256, version in KNOWN.items()}
    sentiment = {name for name in known if name.startswith(("Twitter-15 ", "Twitter-17 "))}
    assert listed == {name: sha256 for name, sha256 in known.items() if name not in sentiment}


POSTS = {
    "Twitter-2015": (4000, 40.1, 10.1, 135.6),
    "Twitter-2017": (3373, 18.1, 10.1, 122.4),
    "MNRE": (12247, 28.7, 11.1, 0),
}
"""Training posts, and the mean pieces of a post, its caption and its answer."""


def estimate(config: ExperimentConfig, corpus: str) -> tuple[int, int, float]:
    """Return the updates, hours on two cores and hours on a GPU by the rules of the page."""
    posts, post, caption, answer = POSTS[corpus]
    parts = {"caption": caption, "noun": answer, "sentence": 512 - post if config.views.parts == ("sentence",) else 0}
    text, knowledge = post + 2, post + 2 + sum(parts.get(part, 0) for part in config.views.parts)
    views = {"text-only": [text], "knowledge-only": [knowledge]}.get(config.method, [text, knowledge])
    is_large = "large" in config.student.encoder
    epochs = config.optimisation.epochs
    updates = epochs * math.ceil(posts / config.optimisation.batch_size)
    two_cores = epochs * posts * sum(views) * 2.65 * (3.6 if is_large else 1) / 3_600_000
    gpu = updates * len(views) * (0.1 if is_large else 0.05) / 3600
    return updates, round(two_cores), math.ceil(gpu * 10) / 10


def test_estimates_follow_the_rules_of_the_page() -> None:
    changes = {(row[0], name): found for row in recipe_rows() for name, found in RECIPE.findall(row[2])}
    pattern = r"^\| (?:(\d) .*`(.*\.toml)` )?\| ([\w-]+) \| ([\d,]+) \| (\d+) \| ([\d.]+) \|$"
    rows = re.findall(pattern, PAGE, re.MULTILINE)
    assert len(rows) == 20
    recipe = ("", "")
    for number, name, corpus, *figures in rows:
        recipe = (number, name) if number else recipe
        settings = values_of_set(shlex.split(changes[recipe]))
        settings += ["optimisation.epochs=22"] if (recipe[0], corpus) == ("1", "Twitter-2017") else []
        config = ExperimentConfig.read(ROOT / "configs" / "paper" / recipe[1], settings)
        updates, two_cores, gpu = (float(figure.replace(",", "")) for figure in figures)
        assert (updates, two_cores, gpu) == estimate(config, corpus), (recipe, corpus)


def test_example_answer_becomes_the_printed_rows(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(blocks("json")[0], encoding="utf-8")
    import_answers([tmp_path / "train.jsonl"], tmp_path / "knowledge.jsonl")
    assert (tmp_path / "knowledge.jsonl").read_text(encoding="utf-8") == blocks("text")[0]
