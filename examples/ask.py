"""Ask a language model about two posts at three grains. A Python function stands in for the model.

The first two of the six lines that it prints:

    1 noun: Jordan: a basketball player, because the man in the image jumps and a game has quarters.
    2 noun: Jordan: a country in the Middle East, because the image shows an old stone gate.
"""

from collections.abc import Sequence

from cotpd import Caption, Example, elicit
from cotpd.llm.language_model import Message
from cotpd.testing.scripted_model import ScriptedModel

POSTS = [
    Example("1", ("Jordan", "was", "great", "in", "the", "last", "quarter"), caption=Caption("1.jpg", "a man jumps")),
    Example("2", ("Three", "days", "in", "Jordan", "and", "no", "rain"), caption=Caption("2.jpg", "a stone gate")),
]


def reply(messages: Sequence[Message]) -> str:
    """Answer the last message. `ChatModel` asks a real model instead."""
    if "a man jumps" in messages[-1].content:
        return "Jordan: a basketball player, because the man in the image jumps and a game has quarters."
    return "Jordan: a country in the Middle East, because the image shows an old stone gate."


def main() -> None:
    report = elicit(POSTS, ScriptedModel(reply))
    for knowledge in report.results:
        print(f"{knowledge.example_id} {knowledge.grain}: {knowledge.text}")
    for rejection in report.rejections:
        print(f"{rejection.example_id} {rejection.grain}: rejected, {rejection.reason}")


if __name__ == "__main__":
    main()
