"""BLIP-2 as a `Captioner`, through transformers; torch is imported when one is made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cotpd.captions.captioner import CaptionerId, ImageRejection
from cotpd.captions.image_folder import Picture
from cotpd.core.errors import MissingExtraError, UsageError
from cotpd.core.records import Caption

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "mps")
MAX_TOKENS = 30


@dataclass(frozen=True, slots=True)
class Blip2Options:
    """A ``Blip2ForConditionalGeneration`` by Hugging Face name or directory, and how it is used.

    ``name``: by default the last part of ``model``. ``prompt`` is continued (``a photo of``); most models want none.
    ``beams``: 1 is greedy.
    """

    model: str
    revision: str | None = None
    name: str = ""
    prompt: str = ""
    beams: int = 1

    @property
    def id(self) -> CaptionerId:
        """Who a captioner with these options is; the directory of a model is no part of it, its name is."""
        name = self.name or Path(self.model).name
        model = Path(self.model).name if Path(self.model).is_dir() else self.model
        settings = f"blip2 {model} {self.revision or ''} beams={self.beams} prompt={self.prompt!r}"
        return CaptionerId(name, f"{settings} tokens={MAX_TOKENS}")


class Blip2Captioner:
    """A BLIP-2 loaded from safetensors weights.

    ``device``: one of `DEVICES` (or ``cuda:1``); auto takes an accelerator where there is one, and half precision on
    it. Raises `UsageError` for a directory or device that does not serve, `MissingExtraError` where the hub cannot be
    reached.
    """

    def __init__(self, options: Blip2Options, *, device: str = "auto", batch_size: int = 8) -> None:
        self._options, self._batch_size = options, batch_size
        self._device = _device(device)
        self._processor, self._tokenizer, self._model = _load(options.model, options.revision, self._device)

    @property
    def id(self) -> CaptionerId:
        """Who it is."""
        return self._options.id

    def captions(self, pictures: Iterable[Picture]) -> Iterator[Caption | ImageRejection]:
        """One outcome for each picture, in order, a batch at a time. Raises `UsageError` when memory is short."""
        import torch

        stream = iter(pictures)
        while batch := list(islice(stream, self._batch_size)):
            try:
                texts = self._describe(batch)
            except torch.OutOfMemoryError as error:
                raise UsageError(f"{len(batch)} images do not fit the device's memory; lower --batch-size") from error
            yield from map(self._outcome, batch, texts)

    def _describe(self, batch: Sequence[Picture]) -> list[str]:
        import torch

        model = self._model
        pixels = self._processor([picture.pixels for picture in batch], return_tensors="pt")["pixel_values"]
        question = self._question().to(self._device).repeat(len(batch), 1)
        with torch.inference_mode():
            ids = model.generate(
                pixel_values=pixels.to(self._device, model.dtype),
                input_ids=question,
                max_new_tokens=MAX_TOKENS,
                num_beams=self._options.beams,
                do_sample=False,
            )
        if model.config.use_decoder_only_language_model:
            ids = ids[:, question.shape[1] :]
        texts: list[str] = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        return texts

    def _question(self) -> Tensor:
        """``[1, pieces]``: the places of the image, then the prompt, as the model was trained."""
        import torch

        config = self._model.config
        image = [config.image_token_id] * config.num_query_tokens
        return torch.tensor([image + self._tokenizer(self._options.prompt)["input_ids"]])

    def _outcome(self, picture: Picture, text: str) -> Caption | ImageRejection:
        said = " ".join(text.split())
        if not said:
            return ImageRejection(picture.image_id, "empty", self.id.name)
        return Caption(picture.image_id, said, self.id.name)


def _device(name: str) -> str:
    import torch

    usable = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if usable[kind])
    if not usable.get(name.partition(":")[0]):
        raise UsageError(f"the device {name} is not usable here; there is {', '.join(k for k in usable if usable[k])}")
    return name


def _load(name: str, revision: str | None, device: str) -> tuple[Any, Any, Any]:
    """Image processor, tokenizer and model. The processor is the one of Pillow and numpy: torchvision is not needed."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoImageProcessor, AutoTokenizer, Blip2ForConditionalGeneration
    from transformers.utils import logging as transformers_logging

    if Path(name).exists() and not (Path(name) / "config.json").is_file():
        raise UsageError(f"{name}: no BLIP-2 here (config.json is missing); give a directory or a hub name")
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    half = torch.bfloat16 if device.startswith("cuda") and torch.cuda.is_bf16_supported() else torch.float16
    dtype = torch.float32 if device == "cpu" else half
    try:
        processor = AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            name, revision=revision, backend="pil"
        )
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        model = Blip2ForConditionalGeneration.from_pretrained(
            name, revision=revision or "main", dtype=dtype, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _explained(name, error) from error
    if model.config.image_token_id is None:
        raise UsageError(f"{name}: its config.json names no image_token_index; take a newer revision of the model")
    network: torch.nn.Module = model
    return processor, tokenizer, network.to(device).eval()


def _explained(name: str, error: Exception) -> UsageError | MissingExtraError:
    message = str(error).strip().split("\n")[0]
    if Path(name).is_dir():
        return UsageError(f"{name}: cannot be loaded as a BLIP-2 with safetensors weights: {message}")
    return MissingExtraError(f"{name}: neither a directory nor to be had from the hub: {message}")
