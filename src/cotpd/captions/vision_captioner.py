"""Any vision model behind an OpenAI-compatible endpoint as a `Captioner`, through the asking layer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from importlib import resources

from cotpd.captions.captioner import CaptionerId, ImageRejection
from cotpd.captions.image_folder import LONGEST_SIDE, Picture, to_jpeg
from cotpd.core.records import Caption
from cotpd.llm.answer_text import UnusableAnswerError, spoken_lines, without_markdown
from cotpd.llm.asking.ask import ask
from cotpd.llm.asking.policy import Policy
from cotpd.llm.asking.progress import AskingProgress
from cotpd.llm.language_model import Answer, Image, LanguageModel, Message, Parameters, Request
from cotpd.llm.store.request_store import RequestStore

logger = logging.getLogger(__name__)

TEMPLATE = "describe.v1"
MAX_TOKENS = 80


class VisionCaptioner:
    """Asks ``model`` about each picture, once: answers are served from ``store``, asked for as ``policy`` says."""

    def __init__(
        self,
        model: LanguageModel,
        *,
        name: str = "",
        store: RequestStore | None = None,
        policy: Policy | None = None,
        listener: Callable[[AskingProgress], None] | None = None,
    ) -> None:
        self._model, self._store, self._policy, self._listener = model, store, policy, listener
        settings = f"vision {model.name} {model.endpoint} {TEMPLATE} tokens={MAX_TOKENS} side={LONGEST_SIDE}"
        self._id = CaptionerId(name or model.name, settings)

    @property
    def id(self) -> CaptionerId:
        """Who it is."""
        return self._id

    def captions(self, pictures: Iterable[Picture]) -> Iterator[Caption | ImageRejection]:
        """An outcome for each picture that was answered, as answers come; reasons of a rejection are those of `judge`.

        Raises `LanguageModelError` and `BudgetReachedError` as `ask` does.
        """
        requests = (question(_as_jpeg(picture), about=picture.image_id) for picture in pictures)
        asked = ask(requests, self._model, store=self._store, policy=self._policy, listener=self._listener)
        for request, answer in asked:
            image_id: str = request.about
            if isinstance(answer, Answer):
                yield Caption(image_id, _caption(answer), self._id.name)
            elif answer.answer:
                yield ImageRejection(image_id, answer.reason, self._id.name, answer.answer.text)
            else:
                logger.warning("%s: no answer, asked again by the next run: %s", image_id, answer.reason)


def question(image: Image, *, about: str = "") -> Request:
    """The request for the caption of an image; ``about`` is its id, which the model is not told."""
    system, user = template()
    messages = (Message("system", system), Message("user", user, (image,)))
    return Request(messages, Parameters(MAX_TOKENS), validate=judge, about=about)


def template() -> tuple[str, str]:
    """What a vision model is told and asked."""
    text = (resources.files("cotpd.captions") / "templates" / f"{TEMPLATE}.txt").read_text("utf-8")
    system, _, user = text.removeprefix("[system]\n").partition("[user]\n")
    return system.strip(), user.strip()


def judge(answer: Answer) -> str | None:
    """Why an answer is no caption: a reason of `spoken_lines`, or ``cut`` (no sentence ended before the limit)."""
    try:
        return None if _caption(answer) else "cut"
    except UnusableAnswerError as reason:
        return str(reason)


def _as_jpeg(picture: Picture) -> Image:
    """A picture as it is sent: a JPEG of ours, made when it is sent; never an address, never data of its origin."""
    return Image(picture.sha256, "image/jpeg", lambda: to_jpeg(picture))


def _caption(answer: Answer) -> str:
    """One line; of an answer that the limit has cut, the whole sentences."""
    line = " ".join(map(without_markdown, spoken_lines(answer)))
    return line[: line.rfind(".") + 1] if answer.finish_reason == "length" else line
