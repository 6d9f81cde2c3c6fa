"""Exceptions of the library, each with the exit code of the command that raises it.

    CotpdError                 1  an operation failed
    ├── UsageError             2  an option, argument or configuration key is wrong
    ├── TooManyRejectedError   3  more answers were rejected than allowed
    ├── BudgetReachedError     4  the budget is spent; the command can be resumed
    ├── DataError              5  a corpus, label or line is invalid (names the place)
    ├── MissingExtraError      6  an optional package, device or hub is missing
    ├── CheckpointError        1  a model or checkpoint directory is damaged or incompatible
    ├── LanguageModelError     1  a request to a language model failed
    ├── StoreError             1  a request store is locked, too new, read-only or full
    └── TrainingError          1  training failed (NaN loss, out of memory)

Every message says what is wrong, where, and what to do.
"""


class CotpdError(Exception):
    """Base class of all exceptions that this library raises on purpose.

    Attributes:
        exit_code: The exit code of a command that ends with this exception.
    """

    exit_code = 1


class UsageError(CotpdError):
    """An option, argument or configuration key is wrong."""

    exit_code = 2


class TooManyRejectedError(CotpdError):
    """More answers of a language model were rejected than allowed."""

    exit_code = 3


class BudgetReachedError(CotpdError):
    """The budget of requests, tokens or money is spent."""

    exit_code = 4


class DataError(CotpdError):
    """A file, line, label or example is invalid.

    Args:
        message: What is wrong and what to do.
        where: The place as ``file:line`` or the id of an example. It becomes the prefix of the message.
    """

    exit_code = 5

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class MissingExtraError(CotpdError):
    """An optional package, a device, a model hub or a system file is missing."""

    exit_code = 6


class CheckpointError(CotpdError):
    """A model or checkpoint directory is damaged, was not written by this library, or has another version."""


class LanguageModelError(CotpdError):
    """A request to a language model failed, or its endpoint is unusable."""


class StoreError(CotpdError):
    """A request store is locked by another process, written by a newer version, read-only, full, or not a store."""


class TrainingError(CotpdError):
    """Training cannot continue, or a device ran out of memory."""
