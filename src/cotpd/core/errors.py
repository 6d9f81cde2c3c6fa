"""The errors this library raises, each with the exit code its command ends with.

    CotpdError                 1  something failed
    ├── UsageError             2  a wrong option, setting or configuration key
    ├── TooManyRejectedError   3  more answers were rejected than allowed
    ├── BudgetReachedError     4  the budget is spent; the work can go on later
    ├── DataError              5  a corpus, a label or a line is wrong (says where)
    ├── MissingExtraError      6  an extra, a device or a hub is missing
    ├── CheckpointError        1  a model or checkpoint directory cannot be trusted
    ├── LanguageModelError     1  a language model could not be asked
    ├── StoreError             1  a request store is in use, newer, read-only or full
    └── TrainingError          1  training cannot go on (NaN loss), or a device's memory runs out

Every message says what is wrong, where, and what to do.
"""


class CotpdError(Exception):
    """Root of every error that this library raises on purpose."""

    exit_code = 1


class UsageError(CotpdError):
    """A wrong option, setting or configuration key."""

    exit_code = 2


class TooManyRejectedError(CotpdError):
    """More answers of the language model were rejected than allowed."""

    exit_code = 3


class BudgetReachedError(CotpdError):
    """The budget of requests, tokens or money is spent."""

    exit_code = 4


class DataError(CotpdError):
    """A file, line, label or example is wrong. ``where`` is ``file:line`` or an id."""

    exit_code = 5

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class MissingExtraError(CotpdError):
    """An extra, a device, a hub or a file of the machine is missing."""

    exit_code = 6


class CheckpointError(CotpdError):
    """A model or checkpoint directory is damaged, foreign or from another version."""


class LanguageModelError(CotpdError):
    """A language model could not be asked, or its endpoint cannot be used."""


class StoreError(CotpdError):
    """A request store is in use by another process, newer than this program, read-only, full or no store at all."""


class TrainingError(CotpdError):
    """Training cannot go on, or the memory of a device runs out."""
