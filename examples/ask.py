"""Ask a language model about two posts and print what it says at each grain. Here a function plays the model."""

from collections.abc import Sequence

from cotpd import Caption, Example, elicit
from cotpd.llm.language_model import Message
from cotpd.testing.scripted_model import ScriptedModel

POSTS = [
    Example("1", ("Jordan", "was", "great", "in", "the", "last", "quarter"), caption=Caption("1.jpg", "a man jumps")),
    Example("2", ("Three", "days", "in", "Jordan", "and", "no", "rain"), caption=Caption("2.jpg", "a stone gate")),
]


def reply(messages: Sequence[Message]) -> str:
    """An answer to the last message; put a model of yours in its place."""
    if "a man jumps" in messages[-1].content:
        return "Jordan: a basketball player, for the man in the picture jumps and a game has quarters."
    return "Jordan: a country in the Middle East, for one spends days in it and the picture shows old stone."


def main() -> None:
    report = elicit(POSTS, ScriptedModel(reply))
    for knowledge in report.knowledge:
        print(f"{knowledge.example_id} {knowledge.grain}: {knowledge.text}")
    for rejection in report.rejections:
        print(f"{rejection.example_id} {rejection.grain}: rejected, {rejection.reason}")


if __name__ == "__main__":
    main()
