"""A vision model behind an OpenAI-compatible endpoint as a `Captioner`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources

from cotpd.captions.caption_text import parse_caption
from cotpd.captions.captioner import CaptionerId, ImageRejection
from cotpd.captions.image_folder import LONGEST_SIDE, Picture, to_jpeg
from cotpd.core.records import Caption
from cotpd.llm.answer_text import UnusableAnswerError
from cotpd.llm.asking.session import AskingSession, Question, UnusableAnswer
from cotpd.llm.language_model import Image, LanguageModel, Message, Parameters, Request
from cotpd.llm.store.request_store import RequestStore

TEMPLATE = "describe.v1"
MAX_TOKENS = 80


class VisionCaptioner:
    """Asks a vision model about each picture.

    Args:
        model: The vision model.
        name: The name of the captioner; by default the name of the model.
        answer_tokens: The token limit of an answer, including thoughts.
    """

    def __init__(self, model: LanguageModel, *, name: str = "", answer_tokens: int = MAX_TOKENS) -> None:
        self._model, self._answer_tokens = model, answer_tokens
        settings = f"vision {model.name} {model.endpoint} {TEMPLATE} tokens={answer_tokens} side={LONGEST_SIDE}"
        self._id = CaptionerId(name or model.name, settings)

    @property
    def id(self) -> CaptionerId:
        """The identity of this captioner."""
        return self._id

    def find(self, image_id: str, sha256: str, store: RequestStore) -> Caption | ImageRejection | None:
        """Return what the store has about an image with this content; None if it has nothing."""
        stored = store.find(self.request_for_content(sha256).key(self._model.endpoint, self._model.name))
        if stored is None:
            return None
        try:
            return Caption(image_id, parse_caption(stored.answer), self._id.name)
        except UnusableAnswerError as reason:
            return ImageRejection(image_id, str(reason), self._id.name, stored.answer.text)

    def captions(self, pictures: Iterable[Picture], session: AskingSession) -> Iterator[Caption | ImageRejection]:
        """Yield an outcome for each picture that was answered, as answers arrive.

        Raises:
            LanguageModelError, BudgetReachedError: As `AskingSession.answers` does.
        """
        requests = (self._request(_as_jpeg(picture), picture.image_id) for picture in pictures)
        for image_id, result in session.answers(requests, self._model):
            if isinstance(result, UnusableAnswer):
                yield ImageRejection(image_id, result.reason, self._id.name, result.text)
            else:
                yield Caption(image_id, result, self._id.name)

    def request_for_content(self, sha256: str) -> Request:
        """Return the request for an image with this SHA-256, to find its answer in a store. It cannot be sent."""
        return self._request(Image(sha256, "image/jpeg", bytes), "")

    def _request(self, image: Image, image_id: str) -> Request:
        return request_for_image(image, image_id=image_id, answer_tokens=self._answer_tokens)


def request_for_image(image: Image, *, image_id: str = "", answer_tokens: int = MAX_TOKENS) -> Request:
    """Return the request for the caption of an image. The image id is not part of the question."""
    system, user = load_template()
    messages = (Message("system", system), Message("user", user, (image,)))
    return Question(image_id, messages, Parameters(answer_tokens), parse=parse_caption).request


@cache
def load_template() -> tuple[str, str]:
    """Return the system message and the question."""
    text = (resources.files("cotpd.captions") / "templates" / f"{TEMPLATE}.txt").read_text("utf-8")
    system, _, user = text.removeprefix("[system]\n").partition("[user]\n")
    return system.strip(), user.strip()


def _as_jpeg(picture: Picture) -> Image:
    """Return a picture as it is sent: a new JPEG, encoded when it is sent, without address or metadata."""
    return Image(picture.sha256, "image/jpeg", lambda: to_jpeg(picture))
