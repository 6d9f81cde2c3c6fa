"""BLIP-2: captions do not depend on the batch, weights are safetensors, errors are clear, answers are stored."""

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
from cotpd.llm.asking.session import Asking, AskingSession
from cotpd.llm.store.request_store import RequestStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def captioner(tiny_blip2: Path) -> Blip2Captioner:
    return Blip2Captioner(Blip2Options(str(tiny_blip2)), device="cpu", batch_size=3)


def describe(
    captioner: Blip2Captioner, pictures: list[Picture], store: RequestStore | None = None
) -> list[Caption | ImageRejection]:
    return list(captioner.captions(pictures, AskingSession(store or RequestStore(), Asking())))


def said(outcome: Caption | ImageRejection) -> str:
    """Return what the model said; the random weights of the test often make it repeat itself."""
    return outcome.text if isinstance(outcome, Caption) else " ".join(outcome.answer.split())


def pictures() -> list[Picture]:
    """Pictures of many sizes and contents."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    images = [Image.new("RGB", (20 + 9 * number, 50), colour) for number, colour in enumerate(colours)]
    images.append(Image.linear_gradient("L").convert("RGB"))
    return [Picture(str(number), image, f"sha-{number}") for number, image in enumerate(images)]


def test_captions_do_not_depend_on_the_batch(captioner: Blip2Captioner, tiny_blip2: Path) -> None:
    together = describe(captioner, pictures())
    assert [each.image_id for each in together] == list("01234")
    assert len(set(map(said, together))) == 5, "captions depend on the picture"
    one_by_one = Blip2Captioner(Blip2Options(str(tiny_blip2)), device="cpu", batch_size=1)
    assert describe(one_by_one, pictures()) == together


def test_captions_are_found_in_the_store(captioner: Blip2Captioner) -> None:
    store = RequestStore()
    made = describe(captioner, pictures(), store)
    assert [captioner.find(each.image_id, f"sha-{each.image_id}", store) for each in made] == made
    assert captioner.find("0", "other", store) is None


def test_a_caption_has_no_prompt_and_no_special_tokens(tiny_blip2: Path) -> None:
    captioner = Blip2Captioner(Blip2Options(str(tiny_blip2), prompt="xyz"), device="cpu")
    texts = list(map(said, describe(captioner, pictures())))
    assert not [text for text in texts if "<" in text or text.startswith("x y z")]


def test_the_identity_has_every_setting_that_changes_captions() -> None:
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


@pytest.mark.parametrize(
    ("text", "reason"),
    [(" \n", "empty"), ("</s>", "empty"), ("a dog " * 9, "loop"), ("a field <extra_id_0>", "control mark")],
)
def test_an_unusable_caption_is_a_rejection(
    captioner: Blip2Captioner, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setattr(captioner, "_describe", lambda batch: [text] * len(batch))
    store, rejection = RequestStore(), ImageRejection("0", reason, "tiny-blip2", text)
    assert describe(captioner, pictures()[:1], store) == [rejection]
    assert captioner.find("0", "sha-0", store) == rejection
    assert [stored.rejected for stored in store] == [reason]


def test_out_of_memory_names_the_option_to_change(captioner: Blip2Captioner, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def run_out_of_memory(batch: object) -> list[str]:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(captioner, "_describe", run_out_of_memory)
    with pytest.raises(UsageError, match=r"3 images do not fit .* smaller --batch-size"):
        describe(captioner, pictures())


def test_a_directory_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a BLIP-2 \(config.json is missing\)"):
        Blip2Captioner(Blip2Options(str(tmp_path))).load()


def test_pickled_weights_are_not_opened(tiny_blip2: Path, tmp_path: Path) -> None:
    import torch

    model = tmp_path / "pickled"
    shutil.copytree(tiny_blip2, model)
    (model / "model.safetensors").unlink()
    torch.save({}, model / "pytorch_model.bin")
    with pytest.raises(UsageError, match="safetensors"):
        Blip2Captioner(Blip2Options(str(model))).load()


def test_an_old_config_without_image_token_is_an_error(tiny_blip2: Path, tmp_path: Path) -> None:
    model = tmp_path / "old"
    shutil.copytree(tiny_blip2, model)
    values = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps({**values, "image_token_index": None}), encoding="utf-8")
    with pytest.raises(UsageError, match="newer revision"):
        Blip2Captioner(Blip2Options(str(model))).load()


def test_a_model_that_the_hub_lacks_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingExtraError, match="nobody/nothing: not a directory, and not available"):
        Blip2Captioner(Blip2Options("nobody/nothing"), device="cpu").load()


@pytest.mark.parametrize("device", ["cuda:99x", "tpu", "npu:0"])
def test_an_unavailable_device_is_an_error(device: str, tiny_blip2: Path) -> None:
    with pytest.raises(UsageError, match=r"not available on this machine; available: cpu|Invalid device"):
        Blip2Captioner(Blip2Options(str(tiny_blip2)), device=device).load()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("config.json", {"auto_map": {"AutoModel": "own.Own"}}, "auto_map names code"),
        ("config.json", {"text_config": {"model_type": "own", "auto_map": {"AutoModel": "own.M"}}}, "auto_map"),
        ("config.json", {"text_config": {"model_type": "own"}}, "text_config is 'own', expected opt or t5"),
        ("config.json", {"model_type": "llava"}, "model_type is 'llava', expected blip-2"),
        ("config.json", {"_attn_implementation": "someone/kernel"}, "_attn_implementation"),
        ("preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "own.P"}}, r"preprocessor_config\.json: auto"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["own.T", None]}}, r"tokenizer_config\.json: auto"),
    ],
)
def test_a_model_with_code_is_refused_without_a_question(
    name: str,
    values: dict[str, object],
    message: str,
    tiny_blip2: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asks whether to run code of the model"))
    shutil.copytree(tiny_blip2, tmp_path / "model")
    path = tmp_path / "model" / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        Blip2Captioner(Blip2Options(str(tmp_path / "model")), device="cpu").load()


def test_a_mistyped_path_does_not_go_online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("it goes online"))
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("models/blip2", "blip2", "/nowhere/blip2"):
        with pytest.raises(UsageError, match="there is no such directory"):
            Blip2Captioner(Blip2Options(name), device="cpu").load()
