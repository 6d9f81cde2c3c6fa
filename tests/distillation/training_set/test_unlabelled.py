"""Unlabelled examples: neither their labels nor held-out posts ever influence a run."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cotpd.core.config import CorpusConfig, ExperimentConfig, TrainingSetConfig
from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import write_jsonl
from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.objective import Objective
from cotpd.distillation.recipe import build_student, distill
from cotpd.distillation.runs.corpora import read_corpus
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.distillation.training_set.selection import TrainingSet, labelled_examples, unlabelled_examples
from cotpd.distillation.training_set.unlabelled import read_unlabelled

Configure = Callable[..., ExperimentConfig]

ONLY = {"aligned": "unlabelled"}
ELSEWHERE = {"unlabelled": ["elsewhere"]}


@pytest.fixture(scope="module")
def others() -> tuple[Example, ...]:
    """Return posts of another corpus with their own labels and knowledge."""
    return tuple(replace(post, id=f"other/{post.id}") for post in Corpus.sample().train[24:36])


def extended(corpus: Corpus, posts: tuple[Example, ...]) -> Corpus:
    """Return the corpus with the unlabelled posts of the corpus `elsewhere`."""
    return replace(corpus, unlabelled=posts, unlabelled_paths=(Path("elsewhere"),))


def relabelled(posts: tuple[Example, ...]) -> tuple[Example, ...]:
    return tuple(replace(post, entities=(Entity(Span(0, 1), "LOC"),)) for post in posts)


@pytest.mark.slow
def test_labels_of_unlabelled_posts_do_not_change_a_run(
    corpus: Corpus, others: tuple[Example, ...], configure: Configure, tmp_path: Path
) -> None:
    """Compare the weights of finished runs bit by bit."""
    config, runs = configure(optimisation={"epochs": 1}, training_set=ELSEWHERE), []
    for number, posts in enumerate((others, relabelled(others), others[:-1])):
        distill(extended(corpus, posts), config=config, out=tmp_path / str(number))
        runs.append(load_file(tmp_path / str(number) / "model" / "model.safetensors"))
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not all(torch.equal(runs[0][name], runs[2][name]) for name in runs[0]), "the posts themselves must matter"


@pytest.mark.slow
def test_unlabelled_posts_without_caption_and_knowledge_are_an_error_or_a_warning(
    corpus: Corpus, others: tuple[Example, ...], configure: Configure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The teacher view of such posts equals the text view, so they would teach nothing."""
    config = configure(optimisation={"epochs": 1}, training_set=ELSEWHERE)
    plain = tuple(replace(post, caption=None, knowledge=()) for post in others)
    with pytest.raises(DataError, match="elsewhere: none of the 12 examples without labels has any of caption, noun"):
        distill(extended(corpus, plain), config=config, out=tmp_path / "none")
    distill(extended(corpus, (*others, *plain[:2])), config=config, out=tmp_path / "some")
    assert "2 of 14 examples without labels have none of caption, noun" in caplog.text
    summary = json.loads((tmp_path / "some" / "summary.json").read_text("utf-8"))
    assert (summary["num_train"], summary["num_unlabelled"]) == (len(corpus.train), 14)


def test_task_loss_uses_only_labelled_posts(corpus: Corpus, others: tuple[Example, ...], configure: Configure) -> None:
    config = configure()
    student = build_student(TrainingSet.of(corpus, config), corpus, config)
    batches = TrainingBatches(student, corpus.train, config, unlabelled=others)
    labelled = list(range(4))
    mixed = batches.read([*labelled, len(corpus.train), len(corpus.train) + 1], epoch=0)
    assert mixed.labelled.tolist() == [True] * 4 + [False] * 2
    objective = Objective(student.eval(), config.objective)
    alone = batches.read(labelled, epoch=0)
    found, expected = (objective(step.view, step.target, step.labelled) for step in (mixed, alone))
    torch.testing.assert_close(found.task * 6, expected.task * 4)
    assert float(found.alignment.detach() * 6) > float(expected.alignment.detach() * 4)
    assert batches.num_unlabelled == len(others)


@pytest.mark.parametrize("alignment", ["marginals", "emissions", "paths"])
def test_alignment_can_be_restricted_to_unlabelled_examples(
    corpus: Corpus, others: tuple[Example, ...], configure: Configure, alignment: str
) -> None:
    config = configure(objective={**ONLY, "alignment": alignment}, training_set=ELSEWHERE)
    student = build_student(TrainingSet.of(corpus, config), corpus, config)
    batches = TrainingBatches(student, corpus.train, config, unlabelled=others)
    objective = Objective(student.eval(), config.objective)
    first = len(corpus.train)
    mixed, alone = batches.read([0, 1, first, first + 1], epoch=0), batches.read([first, first + 1], epoch=0)
    found, expected = (objective(step.view, step.target, step.labelled) for step in (mixed, alone))
    torch.testing.assert_close(found.alignment * 4, expected.alignment * 2)
    labelled = batches.read([0, 1], epoch=0)
    assert float(objective(labelled.view, labelled.target, labelled.labelled).alignment.detach()) == 0.0


def test_rest_of_a_share_is_used_without_labels(corpus: Corpus, configure: Configure) -> None:
    config = configure(training_set={"share": 0.25, "unlabelled": ["rest"]}, objective=ONLY)
    labelled, unlabelled = labelled_examples(corpus, config), unlabelled_examples(corpus, config)
    assert len(labelled) == 6
    assert {post.id for post in labelled} ^ {post.id for post in unlabelled} == {post.id for post in corpus.train}
    assert not any(post.entities for post in unlabelled)
    assert all(post.knowledge for post in unlabelled)


def test_corruption_applies_to_unlabelled_examples(
    corpus: Corpus, others: tuple[Example, ...], configure: Configure
) -> None:
    config = configure(training_set={"corruption": "missing"})
    assert not any(post.knowledge for post in unlabelled_examples(replace(corpus, unlabelled=others), config))


def test_near_duplicates_of_held_out_posts_are_removed_and_counted(
    corpus: Corpus, others: tuple[Example, ...], configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    leaking = replace(corpus, unlabelled=(*others, replace(corpus.dev[0], id="other/leak")))
    with caplog.at_level(logging.INFO):
        taught = unlabelled_examples(leaking, configure())
    assert [post.id for post in taught] == [post.id for post in others]
    assert "removed 1 unlabelled posts that are near-duplicates" in caplog.text


def test_corpus_that_was_read_with_other_settings_is_an_error(
    corpus: Corpus, configure: Configure, tmp_path: Path
) -> None:
    """Otherwise a run would use other posts or types than its configuration says."""
    renamed = {"path": "elsewhere", "label_map": {corpus.label_set.types[0]: "other"}}
    for sections, message in (
        ({"training_set": ELSEWHERE}, r"training_set\.unlabelled lists elsewhere, but none were read"),
        ({"corpus": renamed}, r"read with other settings than \[corpus\]"),
    ):
        with pytest.raises(UsageError, match=rf"{message}.*read_corpus\(config\)"):
            distill(corpus, config=configure(**sections), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unlabelled_posts_are_tokenised_like_the_corpus(corpus: Corpus, configure: Configure) -> None:
    other = Example("other/1", ("#MUFC", "beat", "@someone"), (Entity(Span(0, 1), "ORG"),))
    (taught,) = unlabelled_examples(replace(corpus, unlabelled=(other,)), configure())
    assert taught.words == ("#", "MUFC", "beat", "@", "someone")


def test_unlabelled_relation_keeps_its_pair(corpus: Corpus, configure: Configure) -> None:
    config = configure().model_copy(update={"task": "relations"})
    pair = Relation(Span(0, 1), Span(2, 3), "/per/per/couple")
    other = Example("other/1", ("#A", "loves", "#B"), relations=(pair,))
    (taught,) = unlabelled_examples(replace(corpus, unlabelled=(other,)), config)
    assert taught.words == other.words
    assert taught.relations == (replace(pair, label=NO_RELATION),)


def test_only_training_and_unsplit_posts_are_read(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.txt").write_text(f"IMGID:{name}\nParis\tB-LOC\n\n", encoding="utf-8")
    assert [post.id for post in read_unlabelled([tmp_path])] == [f"{tmp_path.name}/train"]
    (tmp_path / "posts.jsonl").write_text('{"id": "p", "text": "Paris"}\n', encoding="utf-8")
    assert [post.id for post in read_unlabelled([tmp_path / "posts.jsonl"])] == ["posts.jsonl/p"]


def test_two_corpora_with_the_same_name_are_an_error(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "posts").mkdir(parents=True)
        (tmp_path / place / "posts" / "train.txt").write_text("IMGID:1\nParis\tB-LOC\n\n", encoding="utf-8")
    with pytest.raises(UsageError, match="have the same name; rename"):
        list(read_unlabelled([tmp_path / "a" / "posts", tmp_path / "b" / "posts"]))


def test_captions_of_the_chosen_captioner_are_used(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("IMGID:1\nParis\tB-LOC\n\n", encoding="utf-8")
    rows = ({"image_id": "1", "captioner": name, "text": f"by {name}"} for name in ("one", "two"))
    write_jsonl(tmp_path / "captions.jsonl", rows)
    (post,) = read_unlabelled([tmp_path], captioner="two")
    assert post.caption
    assert post.caption.text == "by two"
    with pytest.raises(UsageError, match="three"):
        list(read_unlabelled([tmp_path], captioner="three"))


def configuration(path: Path, *unlabelled: Path, captioner: str | None = None) -> ExperimentConfig:
    training_set = TrainingSetConfig(unlabelled=tuple(map(str, unlabelled)))
    return ExperimentConfig(corpus=CorpusConfig(path=path, captioner=captioner), training_set=training_set)


def test_mixed_captioners_are_an_error(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for split in ("train", "dev"):
            (tmp_path / name / f"{split}.txt").write_text(f"IMGID:{split}\nParis\tB-LOC\n\n", encoding="utf-8")
        captions = [{"image_id": "train", "captioner": by, "text": f"by {by}"} for by in (name, "both")]
        write_jsonl(tmp_path / name / "captions.jsonl", captions)
    with pytest.raises(UsageError, match=r"mixes one and two; choose one with corpus\.captioner"):
        read_corpus(configuration(tmp_path / "one", tmp_path / "two"))
    corpus = read_corpus(configuration(tmp_path / "one", tmp_path / "two", captioner="both"))
    assert [post.caption.text for post in (*corpus.train, *corpus.unlabelled) if post.caption] == ["by both"] * 2


def test_captions_of_rows_may_differ_from_the_captioner(tmp_path: Path) -> None:
    """Rows may have their own captions, but an unlabelled corpus must share a captioner with the corpus."""
    for name, by in (("mine", "one"), ("alike", "one"), ("strange", "two")):
        (tmp_path / name).mkdir()
        rows = [{"id": "a", "text": "Paris", "image": "a"}]
        rows += [{"id": "b", "text": "Rome", "image": "b", "caption": {"text": "a city"}}] if name == "mine" else []
        write_jsonl(tmp_path / name / "train.jsonl", rows)
        write_jsonl(tmp_path / name / "captions.jsonl", [{"image_id": "a", "captioner": by, "text": "streets"}])
    corpus = read_corpus(configuration(tmp_path / "mine"))
    assert {post.caption.captioner for post in corpus.train if post.caption} == {"", "one"}
    read_corpus(configuration(tmp_path / "mine", tmp_path / "alike"))
    with pytest.raises(UsageError, match=r"mixes \(unnamed\) and one and two"):
        read_corpus(configuration(tmp_path / "mine", tmp_path / "strange"))


def test_fingerprint_depends_on_unlabelled_posts_but_not_on_their_labels(
    corpus: Corpus, others: tuple[Example, ...], configure: Configure
) -> None:
    config = configure()
    corpora = (replace(corpus, unlabelled=posts) for posts in (others, relabelled(others), ()))
    hashes = [TrainingSet.of(each, config).fingerprint(config) for each in corpora]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"training_set": {"unlabelled": ["x"]}, "objective": {"alignment": "none"}}, "learned by alignment"),
        ({"training_set": {"unlabelled": ["rest"]}, "objective": {"alignment": "none"}}, "learned by alignment"),
        ({"objective": ONLY}, r"needs training_set\.unlabelled"),
    ],
)
def test_settings_without_effect_are_an_error(configure: Configure, sections: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        configure(**sections)
