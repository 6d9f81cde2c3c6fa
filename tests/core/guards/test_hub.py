"""Which names mean a repository of the hub, so that a mistyped path never goes online."""

from pathlib import Path

import pytest

from cotpd.core.guards.hub import repository_of


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "name", ["runs/mine", "runs/mein", "runs", "./a/b", "a/b/c", "/a/b", "../b", "a b/c", "hf:", ""]
)
def test_a_path_is_no_repository(name: str) -> None:
    assert repository_of(name) is None
    assert repository_of(name, accepts_one_part=True) is None


def test_an_owner_that_is_no_directory_is_on_the_hub() -> None:
    assert repository_of("someone/ner-1.0") == "someone/ner-1.0"
    assert repository_of("bert-base-uncased") is None
    assert repository_of("bert-base-uncased", accepts_one_part=True) == "bert-base-uncased"


def test_the_prefix_always_means_the_hub() -> None:
    assert repository_of("hf:runs/mine") == "runs/mine"
    assert repository_of("hf:gpt2") == "gpt2"
    assert repository_of("hf:/etc/passwd") is None
