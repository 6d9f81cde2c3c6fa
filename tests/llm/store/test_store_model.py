"""Random operations on a request store, compared with plain dictionaries. `make fuzz` tries many more."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cotpd.llm.language_model import Answer
from cotpd.llm.store.request_store import FailedAttempt, RequestStore, StoredAnswer

_KEYS = st.sampled_from(["a", "b", "c", "d", "A", "é", ""])
_TEXTS = st.sampled_from(["", "Ajax plays.", "half \ud83d", "NUL \x00", "\u2028", "'; DROP TABLE answers; --"])
_TOKENS = st.integers(0, 10**9)
_ANSWERS = st.builds(Answer, _TEXTS, st.sampled_from(["stop", "length", ""]), _TOKENS, _TOKENS, _TEXTS)
_STORED = st.builds(
    StoredAnswer, _KEYS, st.sampled_from(["", "http://one/v1/"]), st.sampled_from(["m", "n"]), _ANSWERS,
    st.none() | st.sampled_from(["empty", "loop"]),
)  # fmt: skip
_FAILED = st.builds(FailedAttempt, _KEYS, st.sampled_from(["busy", "empty"]), st.none() | _ANSWERS)
_BATCHES = st.sampled_from(["one", "two"])


class StoreModel(RuleBasedStateMachine):
    """A store and what it must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "requests.sqlite"
        self.store = RequestStore(self.path)
        self.answers: dict[str, StoredAnswer] = {}
        self.failed: list[FailedAttempt] = []
        self.open: dict[str, str] = {}

    @rule(
        answers=st.lists(_STORED, max_size=4),
        failed=st.lists(_FAILED, max_size=3),
        returned=st.lists(_KEYS, max_size=2),
    )
    def add(self, answers: list[StoredAnswer], failed: list[FailedAttempt], returned: list[str]) -> None:
        self.store.add(iter(answers), iter(failed), returned=iter(returned))
        self.answers.update({each.key: each for each in answers})
        self.failed += failed
        for key in [*(each.key for each in answers), *returned]:
            self.open.pop(key, None)

    @rule(keys=st.lists(_KEYS, max_size=4), batch=_BATCHES)
    def add_to_batch(self, keys: list[str], batch: str) -> None:
        self.store.add_to_batch(iter(keys), batch)
        self.open.update(dict.fromkeys(keys, batch))

    @rule(batch=_BATCHES)
    def forget_batch(self, batch: str) -> None:
        lost = [key for key, each in self.open.items() if each == batch]
        assert self.store.forget_batch(batch) == len(lost)
        for key in lost:
            del self.open[key]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = RequestStore(self.path)
        assert self.store.salvaged is None

    @rule()
    def read_beside_the_writer(self) -> None:
        with RequestStore(self.path, read_only=True) as reader:
            assert {each.key: each for each in reader} == self.answers

    @rule(key=_KEYS)
    def find(self, key: str) -> None:
        assert self.store.find(key) == self.answers.get(key)
        assert self.store.is_in_batch(key) == (key in self.open)

    @invariant()
    def everything_is_there(self) -> None:
        assert list(self.store) == sorted(self.answers.values(), key=lambda each: each.key.encode())
        assert list(self.store.failed_attempts()) == self.failed
        counts = {batch: list(self.open.values()).count(batch) for batch in sorted(set(self.open.values()))}
        assert self.store.batches() == counts
        assert self.store.num_damaged == 0

    @invariant()
    def statistics_add_up(self) -> None:
        for line in self.store.statistics():
            own = [s for s in self.answers.values() if (s.endpoint, s.model) == (line.endpoint, line.model)]
            assert line.answers == len(own)
            assert line.rejected == sum(each.rejected is not None for each in own)
            assert line.prompt_tokens == sum(each.answer.prompt_tokens for each in own)
            assert line.completion_tokens == sum(each.answer.completion_tokens for each in own)
        assert sum(line.answers for line in self.store.statistics()) == len(self.answers)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(
    max_examples=settings.default.max_examples // 10,
    derandomize=settings.default.max_examples <= 100,
    stateful_step_count=15,
)
