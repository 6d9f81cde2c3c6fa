"""BLIP-2 as a `Captioner`, through transformers; torch is imported when the model is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cotpd.captions.caption_text import plain_caption
from cotpd.captions.captioner import CaptionerId, ImageRejection
from cotpd.captions.image_folder import Picture
from cotpd.core.errors import UsageError
from cotpd.core.files import hash_text
from cotpd.core.guards.hub import PREFIX, fetch, repository_of
from cotpd.core.guards.model_files import read_settings, require_safe_directory
from cotpd.core.records import Caption
from cotpd.llm.answer_text import UnusableAnswerError
from cotpd.llm.asking.session import AskingSession
from cotpd.llm.language_model import Answer
from cotpd.llm.store.request_store import RequestStore, StoredAnswer

if TYPE_CHECKING:
    from torch import Tensor

DEVICES = ("auto", "cpu", "cuda", "mps")
MAX_TOKENS = 30
ENDPOINT = "blip2"
"""The endpoint under which the request store keeps captions of BLIP-2."""

_HUB_FILES = ("*.json", "*.txt", "*.model", "model*.safetensors")
_PARTS = {
    "vision_config": ("blip_2_vision_model", None),
    "qformer_config": ("blip_2_qformer", None),
    "text_config": ("opt", "t5", None),
}
"""The model types of the parts of a BLIP-2; None is the default."""


@dataclass(frozen=True, slots=True)
class Blip2Options:
    """The model and the settings that change its captions.

    Attributes:
        model: A ``Blip2ForConditionalGeneration``: a directory, or a Hugging Face model (``owner/name`` or
            ``hf:owner/name``).
        revision: The revision of a Hugging Face name.
        name: The name of the captioner; by default the last part of ``model``.
        prompt: A beginning that the model continues, such as ``a photo of``. Most models work best without one.
        beams: The number of beams; 1 is greedy search.
    """

    model: str
    revision: str | None = None
    name: str = ""
    prompt: str = ""
    beams: int = 1

    @property
    def id(self) -> CaptionerId:
        """The identity of a captioner with these options. Of a directory only its name counts."""
        name = self.name or Path(self.model).name
        model = Path(self.model).name if Path(self.model).is_dir() else self.model.removeprefix(PREFIX)
        settings = f"blip2 {model} {self.revision or ''} beams={self.beams} prompt={self.prompt!r}"
        return CaptionerId(name, f"{settings} tokens={MAX_TOKENS}")


class Blip2Captioner:
    """A BLIP-2 with safetensors weights, loaded when the first picture must be described.

    Args:
        options: The model and its settings.
        device: One of `DEVICES`, or for example ``cuda:1``. ``auto`` prefers an accelerator, with half precision.
        batch_size: The number of pictures that are described at once.
    """

    def __init__(self, options: Blip2Options, *, device: str = "auto", batch_size: int = 8) -> None:
        self._options, self._device_name, self._batch_size = options, device, batch_size

    @property
    def id(self) -> CaptionerId:
        """The identity of this captioner."""
        return self._options.id

    def load(self) -> None:
        """Load the model now.

        Raises:
            UsageError: If the directory is not a BLIP-2 with safetensors weights, or the device does not exist.
            MissingExtraError: If the model cannot be downloaded.
        """
        _ = self._parts

    def find(self, image_id: str, sha256: str, store: RequestStore) -> Caption | ImageRejection | None:
        """Return what the store has about an image with this content; None if it has nothing."""
        stored = store.find(self._store_key(sha256))
        return self._outcome(image_id, stored.answer.text) if stored else None

    def captions(self, pictures: Iterable[Picture], session: AskingSession) -> Iterator[Caption | ImageRejection]:
        """Yield one outcome for each picture, in order. Each batch is stored in one transaction.

        Raises:
            UsageError: If a batch does not fit into the memory of the device, or as `load` does.
            MissingExtraError: As `load` does.
        """
        import torch

        stream = iter(pictures)
        while batch := list(islice(stream, self._batch_size)):
            try:
                texts = self._describe(batch)
            except torch.OutOfMemoryError as error:
                advice = "use a smaller --batch-size"
                raise UsageError(f"{len(batch)} images do not fit into the memory of the device; {advice}") from error
            session.add([self._stored(picture, text) for picture, text in zip(batch, texts, strict=True)])
            for picture, text in zip(batch, texts, strict=True):
                yield self._outcome(picture.image_id, text)

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any, str]:
        """Image processor, tokenizer, model and device."""
        device = _usable_device(self._device_name)
        return (*_load(self._options.model, self._options.revision, device), device)

    def _describe(self, batch: Sequence[Picture]) -> list[str]:
        import torch

        processor, tokenizer, model, device = self._parts
        pixels = processor([picture.pixels for picture in batch], return_tensors="pt")["pixel_values"]
        question = self._question().to(device).repeat(len(batch), 1)
        with torch.inference_mode():
            ids = model.generate(
                pixel_values=pixels.to(device, model.dtype),
                input_ids=question,
                max_new_tokens=MAX_TOKENS,
                num_beams=self._options.beams,
                do_sample=False,
            )
        if model.config.use_decoder_only_language_model:
            ids = ids[:, question.shape[1] :]
        texts: list[str] = tokenizer.batch_decode(ids, skip_special_tokens=True)
        return texts

    def _question(self) -> Tensor:
        """Return ``[1, pieces]``: the placeholders of the image, then the prompt, as in pre-training."""
        import torch

        _, tokenizer, model, _ = self._parts
        image = [model.config.image_token_id] * model.config.num_query_tokens
        return torch.tensor([image + tokenizer(self._options.prompt)["input_ids"]])

    def _store_key(self, sha256: str) -> str:
        return hash_text("caption", self.id.settings, sha256)

    def _stored(self, picture: Picture, text: str) -> StoredAnswer:
        outcome = self._outcome(picture.image_id, text)
        rejected = outcome.reason if isinstance(outcome, ImageRejection) else None
        return StoredAnswer(self._store_key(picture.sha256), ENDPOINT, self.id.name, Answer(text), rejected)

    def _outcome(self, image_id: str, text: str) -> Caption | ImageRejection:
        try:
            return Caption(image_id, plain_caption(Answer(text)), self.id.name)
        except UnusableAnswerError as reason:
            return ImageRejection(image_id, str(reason), self.id.name, text)


def _usable_device(name: str) -> str:
    import torch

    usable = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if usable[kind])
    if not usable.get(name.partition(":")[0]):
        available = ", ".join(kind for kind in usable if usable[kind])
        raise UsageError(f"the device {name} is not available on this machine; available: {available}")
    return name


def _load(name: str, revision: str | None, device: str) -> tuple[Any, Any, Any]:
    """Return image processor, tokenizer and model. The processor needs Pillow and numpy, but not torchvision."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoImageProcessor, AutoTokenizer, Blip2ForConditionalGeneration
    from transformers.utils import logging as transformers_logging

    source = _locate(name, revision)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    half = torch.bfloat16 if device.startswith("cuda") and torch.cuda.is_bf16_supported() else torch.float16
    dtype = torch.float32 if device == "cpu" else half
    try:
        _require_safe(source)
        processor = AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            source, backend="pil", trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model = Blip2ForConditionalGeneration.from_pretrained(
            source, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        message = str(error).strip().split("\n")[0]
        raise UsageError(f"{name}: cannot be loaded as a BLIP-2 with safetensors weights: {message}") from error
    if model.config.image_token_id is None:
        raise UsageError(f"{name}: config.json has no image_token_index; use a newer revision of the model")
    network: torch.nn.Module = model
    return processor, tokenizer, network.to(device).eval()


def _locate(name: str, revision: str | None) -> Path:
    """Return the directory of the model, downloaded if it is on the hub."""
    if repository := repository_of(name):
        return fetch(repository, _HUB_FILES, revision=revision)
    if not (Path(name) / "config.json").is_file():
        reason = "config.json is missing" if Path(name).exists() else "there is no such directory"
        raise UsageError(f"{name}: not a BLIP-2 ({reason}); give another directory, or hf:owner/name for the hub")
    return Path(name)


def _require_safe(source: Path) -> None:
    """Raise ValueError unless a directory holds a BLIP-2 whose parts are known to transformers."""
    require_safe_directory(source)
    values = read_settings(source / "config.json")
    parts = {key: part.get("model_type") for key in _PARTS if isinstance(part := values.get(key, {}), dict)}
    kinds = {"model_type": values.get("model_type"), **parts}
    for key, expected in (("model_type", ("blip-2",)), *_PARTS.items()):
        if kinds.get(key) not in expected:
            raise ValueError(f"config.json: {key} is {kinds.get(key)!r}, expected {' or '.join(map(str, expected))}")
