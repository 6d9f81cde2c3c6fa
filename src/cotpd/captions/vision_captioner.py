"""A vision model behind an OpenAI-compatible endpoint as a `Captioner`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources

from cotpd.captions.captioner import CaptionerId, ImageRejection
from cotpd.captions.image_folder import LONGEST_SIDE, Picture, to_jpeg
from cotpd.core.records import Caption
from cotpd.llm.answer_text import UnusableAnswerError, spoken_lines, without_markdown
from cotpd.llm.asking.session import AskingSession, Question, UnusableAnswer
from cotpd.llm.language_model import Answer, Image, LanguageModel, Message, Parameters, Request
from cotpd.llm.store.request_store import RequestStore

TEMPLATE = "describe.v1"
MAX_TOKENS = 80


class VisionCaptioner:
    """Asks a vision model about each picture.

    Args:
        model: The vision model.
        name: The name of the captioner; by default the name of the model.
    """

    def __init__(self, model: LanguageModel, *, name: str = "") -> None:
        self._model = model
        settings = f"vision {model.name} {model.endpoint} {TEMPLATE} tokens={MAX_TOKENS} side={LONGEST_SIDE}"
        self._id = CaptionerId(name or model.name, settings)

    @property
    def id(self) -> CaptionerId:
        """The identity of this captioner."""
        return self._id

    def find(self, image_id: str, sha256: str, store: RequestStore) -> Caption | ImageRejection | None:
        """Return what the store has about an image with this content; None if it has nothing."""
        stored = store.find(request_for_content(sha256).key(self._model.endpoint, self._model.name))
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
        requests = (request_for_image(_as_jpeg(picture), image_id=picture.image_id) for picture in pictures)
        for image_id, result in session.answers(requests, self._model):
            if isinstance(result, UnusableAnswer):
                yield ImageRejection(image_id, result.reason, self._id.name, result.text)
            else:
                yield Caption(image_id, result, self._id.name)


def request_for_image(image: Image, *, image_id: str = "") -> Request:
    """Return the request for the caption of an image. The image id is not part of the question."""
    system, user = load_template()
    messages = (Message("system", system), Message("user", user, (image,)))
    return Question(image_id, messages, Parameters(MAX_TOKENS), parse=parse_caption).request


def request_for_content(sha256: str) -> Request:
    """Return the request for an image with this SHA-256, to find its answer in a store. It cannot be sent."""
    return request_for_image(Image(sha256, "image/jpeg", bytes))


@cache
def load_template() -> tuple[str, str]:
    """Return the system message and the question."""
    text = (resources.files("cotpd.captions") / "templates" / f"{TEMPLATE}.txt").read_text("utf-8")
    system, _, user = text.removeprefix("[system]\n").partition("[user]\n")
    return system.strip(), user.strip()


def parse_caption(answer: Answer) -> str:
    """Return the caption in an answer as one line; of an answer cut at the token limit, the complete sentences.

    Raises:
        UnusableAnswerError: With a reason of `spoken_lines`, or ``cut`` if no sentence ended before the limit.
    """
    line = " ".join(map(without_markdown, spoken_lines(answer)))
    caption = line[: line.rfind(".") + 1] if answer.finish_reason == "length" else line
    if not caption:
        raise UnusableAnswerError("cut")
    return caption


def _as_jpeg(picture: Picture) -> Image:
    """Return a picture as it is sent: a new JPEG, encoded when it is sent, without address or metadata."""
    return Image(picture.sha256, "image/jpeg", lambda: to_jpeg(picture))
