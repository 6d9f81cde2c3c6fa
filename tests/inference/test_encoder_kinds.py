"""Every supported kind of encoder and tokenizer is trained, saved and loaded, and gives exact offsets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from cotpd.core.config import ExperimentConfig
from cotpd.core.records import Example
from cotpd.core.splitting import split_words
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.recipe import build_student, distill
from cotpd.distillation.training_set.selection import TrainingSet
from cotpd.inference.extractor import Extractor
from cotpd.views.pieces import Pieces
from cotpd.views.view import ViewKind

TEXTS = [
    "Messi lifts the cup in Lusail",
    "naïve Zoë\u0301 meets 👩\u200d🚀 at #NASA… @esa don't",
    "東京タワー \ufeffand\u00a0more \ufffd ﬁne \u200d x",
    "WWW.EXAMPLE.ORG/Path?q=1 costs 1,500",
]


class Specials(NamedTuple):
    opening: str
    closing: str
    pad: str
    unknown: str


BERT = Specials("[CLS]", "[SEP]", "[PAD]", "[UNK]")
ROBERTA = Specials("<s>", "</s>", "<pad>", "<unk>")
MPNET = Specials("<s>", "</s>", "<pad>", "[UNK]")


def word_piece(specials: Specials, *, lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token=specials.unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return trained(tokenizer, trainers.WordPieceTrainer, specials)


def unigram(specials: Specials) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return trained(tokenizer, trainers.UnigramTrainer, specials, unk_token=specials.unknown)


def byte_level(specials: Specials) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return trained(tokenizer, trainers.BpeTrainer, specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def trained(tokenizer: Tokenizer, trainer: Any, specials: Specials, **options: Any) -> Tokenizer:
    names = list(specials)
    texts = [example.text for example in Corpus.sample().train]
    options = {"show_progress": False, "special_tokens": names, "vocab_size": 600, **options}
    tokenizer.train_from_iterator(texts, trainer(**options))
    between = [specials.closing, specials.closing] if specials.opening == "<s>" else [specials.closing]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[specials.opening, "$A", specials.closing],
        pair=[specials.opening, "$A", *between, "$B", specials.closing],
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (specials.opening, specials.closing)],
    )
    return tokenizer


KINDS: dict[str, tuple[str, Specials, Callable[[], Tokenizer], dict[str, Any]]] = {
    "BERT, uncased": ("bert", BERT, lambda: word_piece(BERT, lowercase=True), {}),
    "BERT, cased": ("bert", BERT, lambda: word_piece(BERT, lowercase=False), {}),
    "XLM-R": ("xlm-roberta", ROBERTA, lambda: unigram(ROBERTA), {}),
    "RoBERTa": ("roberta", ROBERTA, lambda: byte_level(ROBERTA), {}),
    "ModernBERT": ("modernbert", BERT, lambda: byte_level(BERT), {"cls_token_id": 0, "sep_token_id": 1}),
    "MPNet": ("mpnet", MPNET, lambda: word_piece(MPNET, lowercase=True), {}),
    "ELECTRA": ("electra", BERT, lambda: word_piece(BERT, lowercase=True), {"embedding_size": 16}),
    "DeBERTa-v3": (
        "deberta-v2",
        BERT,
        lambda: unigram(BERT),
        {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
    ),
    "ALBERT": ("albert", BERT, lambda: unigram(BERT), {"embedding_size": 16}),
}


@pytest.fixture(scope="session", params=KINDS)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of each kind with a tokenizer of its kind, as its authors would save it."""
    kind, specials, make, options = KINDS[request.param]
    path, tokenizer = tmp_path_factory.mktemp("encoder"), make()
    shape = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 130,
        "pad_token_id": tokenizer.token_to_id(specials.pad),
    }
    with torch.random.fork_rng():
        torch.manual_seed(1)
        AutoModel.from_config(AutoConfig.for_model(kind, **shape, **options)).save_pretrained(path)
    names = {"cls_token": specials.opening, "sep_token": specials.closing, "pad_token": specials.pad}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=specials.unknown, **names).save_pretrained(path)
    return path


@pytest.mark.slow
def test_each_kind_of_encoder_is_trained_saved_and_extracts_exact_offsets(encoder: Path, tmp_path: Path) -> None:
    sample = Corpus.sample()
    corpus = Corpus(train=sample.train[:16], dev=sample.dev[:6])
    finished = distill(corpus, config=ExperimentConfig.of(_values(encoder)), out=tmp_path / "run")
    loaded = Extractor.from_pretrained(tmp_path / "run")
    for kind in ViewKind:
        assert list(loaded.predict(corpus.dev, kind=kind)) == list(finished.predict(corpus.dev, kind=kind))
    every_word_begins_an_entity(loaded)
    for text, extraction in zip(TEXTS, loaded(TEXTS), strict=True):
        words = split_words(text, loaded.student.design.splitting)
        assert [(found.start, found.end) for found in extraction.entities] == [(word.start, word.end) for word in words]
        assert [found.word for found in extraction.entities] == [word.text for word in words]


def test_pieces_of_a_word_do_not_depend_on_its_neighbours(encoder: Path) -> None:
    """A word has the same pieces at the beginning, in the middle and after a word without pieces."""
    pieces = Pieces(Tokenizer.from_file(str(encoder / "tokenizer.json")))
    words = [word for text in TEXTS for word in text.split()]
    assert all(pieces.of(words))
    assert pieces.of(words) == [pieces.of([word])[0] for word in words]
    assert pieces.of(["\u200d", "cup", "\ufe0f", "cup"])[1::2] == pieces.of(["cup", "cup"])


def test_names_of_special_pieces_in_a_text_are_ordinary_words(encoder: Path) -> None:
    """Otherwise [SEP] in a post would end the text, and [PAD] would count as padding."""
    pieces = Pieces(Tokenizer.from_file(str(encoder / "tokenizer.json")))
    names = ["[CLS]", "[SEP]", "[PAD]", "<s>", "</s>", "<pad>", "a</s>b"]
    special = {*pieces.opening, *pieces.closing, pieces.pad}
    assert [name for name, found in zip(names, pieces.of(names), strict=True) if special & set(found)] == []
    assert special & set(pieces.of_text("the [SEP] cup </s>")) == set()


def test_running_text_has_the_same_pieces_as_its_words(encoder: Path) -> None:
    """A word has the same pieces in a post and in a caption."""
    pieces = Pieces(Tokenizer.from_file(str(encoder / "tokenizer.json")))
    text = "The rehearsal of the choir in Lusail"
    assert pieces.of_text(text) == [piece for word in pieces.of(text.split()) for piece in word]


def test_long_texts_are_read_in_windows_by_each_kind_of_encoder(encoder: Path) -> None:
    sample = Corpus.sample()
    corpus, config = Corpus(train=sample.train[:8], dev=sample.dev[:2]), ExperimentConfig.of(_values(encoder))
    extractor = Extractor(build_student(TrainingSet.of(corpus, config), corpus, config).eval())
    every_word_begins_an_entity(extractor)
    words = tuple(word for example in sample.train[:30] for word in example.words)
    (prediction,) = extractor.predict([Example("long", words)])
    assert [entity.span.start for entity in prediction.entities] == list(range(len(words)))


def _values(encoder: Path) -> dict[str, Any]:
    return {
        "student": {"encoder": str(encoder)},
        "views": {"knowledge_pieces": 40},
        "optimisation": {"epochs": 1, "batch_size": 8, "precision": "float32"},
    }


def every_word_begins_an_entity(extractor: Extractor) -> None:
    student = extractor.student
    with torch.no_grad():
        student.head.project.weight.zero_()
        student.head.project.bias.zero_()
        student.head.project.bias[student.label_set.tags.index("B-PER")] = 50.0
