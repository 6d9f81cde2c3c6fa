"""BLIP-2: the same captions whatever the batch, from safetensors alone, with clear errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cotpd.captions.blip2 import Blip2Captioner, Blip2Options
from cotpd.captions.captioner import ImageRejection
from cotpd.captions.image_folder import Picture
from cotpd.core.errors import MissingExtraError, UsageError
from cotpd.core.records import Caption


@pytest.fixture(scope="module")
def captioner(tiny_blip2: Path) -> Blip2Captioner:
    return Blip2Captioner(Blip2Options(str(tiny_blip2)), device="cpu", batch_size=3)


def pictures() -> list[Picture]:
    """Pictures of many sizes and contents."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    images = [Image.new("RGB", (20 + 9 * number, 50), colour) for number, colour in enumerate(colours)]
    images.append(Image.linear_gradient("L").convert("RGB"))
    return [Picture(str(number), image, "") for number, image in enumerate(images)]


def test_each_picture_has_a_caption_of_its_own_whatever_the_batch(captioner: Blip2Captioner, tiny_blip2: Path) -> None:
    together = list(captioner.captions(pictures()))
    assert [each.image_id for each in together] == list("01234")
    assert len({each.text for each in together if isinstance(each, Caption)}) == 5, "it looks at the picture"
    alone = Blip2Captioner(Blip2Options(str(tiny_blip2)), device="cpu", batch_size=1)
    assert list(alone.captions(pictures())) == together


def test_a_caption_holds_neither_prompt_nor_special_pieces(tiny_blip2: Path) -> None:
    captioner = Blip2Captioner(Blip2Options(str(tiny_blip2), prompt="xyz"), device="cpu")
    texts = [each.text for each in captioner.captions(pictures()) if isinstance(each, Caption)]
    assert texts
    assert not [text for text in texts if "<" in text or text.startswith("x y z")]


def test_it_is_known_by_its_name_and_all_that_decides_what_it_says() -> None:
    options = Blip2Options("Salesforce/blip2-opt-2.7b")
    assert options.id.name == "blip2-opt-2.7b"
    changed = [
        Blip2Options(options.model, beams=5),
        Blip2Options(options.model, prompt="a photo of"),
        Blip2Options(options.model, revision="abc"),
        Blip2Options("Salesforce/blip2-flan-t5-xl", name="blip2-opt-2.7b"),
    ]
    assert len({options.id.settings, *(each.id.settings for each in changed)}) == 5
    assert Blip2Options(options.model, name="mine").id.name == "mine"


def test_nothing_said_is_a_rejection(captioner: Blip2Captioner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captioner, "_describe", lambda batch: [" \n"] * len(batch))
    assert list(captioner.captions(pictures()[:1])) == [ImageRejection("0", "empty", "tiny-blip2")]


def test_too_large_a_batch_says_which_number_to_lower(
    captioner: Blip2Captioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 34."""
    import torch

    def describe(batch: object) -> list[str]:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(captioner, "_describe", describe)
    with pytest.raises(UsageError, match=r"3 images do not fit .* lower --batch-size"):
        list(captioner.captions(pictures()))


def test_a_directory_without_a_blip2_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no BLIP-2 here \(config.json is missing\)"):
        Blip2Captioner(Blip2Options(str(tmp_path)))


def test_weights_that_are_no_safetensors_are_refused(tiny_blip2: Path, tmp_path: Path) -> None:
    """Fault 35: a pickle is never opened."""
    import torch

    model = tmp_path / "pickled"
    shutil.copytree(tiny_blip2, model)
    (model / "model.safetensors").unlink()
    torch.save({}, model / "pytorch_model.bin")
    with pytest.raises(UsageError, match="safetensors"):
        Blip2Captioner(Blip2Options(str(model)))


def test_a_config_of_old_without_image_piece_is_named(tiny_blip2: Path, tmp_path: Path) -> None:
    model = tmp_path / "old"
    shutil.copytree(tiny_blip2, model)
    values = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps({**values, "image_token_index": None}), encoding="utf-8")
    with pytest.raises(UsageError, match="newer revision"):
        Blip2Captioner(Blip2Options(str(model)))


def test_a_name_that_no_hub_gives_is_a_missing_thing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingExtraError, match="neither a directory nor to be had from the hub"):
        Blip2Captioner(Blip2Options("nobody/nothing"), device="cpu")


@pytest.mark.parametrize("device", ["cuda:99x", "tpu", "npu:0"])
def test_a_device_that_is_not_there_is_named(device: str, tiny_blip2: Path) -> None:
    with pytest.raises(UsageError, match=r"not usable here; there is cpu|Invalid device"):
        Blip2Captioner(Blip2Options(str(tiny_blip2)), device=device)
