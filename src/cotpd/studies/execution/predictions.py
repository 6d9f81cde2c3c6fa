"""The predictions of a finished run, stored in its directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.files import MANIFEST, hash_file, hash_text, read_jsonl, write_jsonl
from cotpd.core.records import Example, Prediction
from cotpd.core.tasks import ANNOTATIONS
from cotpd.inference.decoding import decode
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


class StoredPredictions:
    """The predictions of one run, computed once and stored if the run directory is writable.

    The student is loaded only if predictions are missing. The name of a stored file contains a hash of the model, the
    view and the examples.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._loaded: Student | None = None

    def predict(self, examples: Sequence[Example], kind: ViewKind) -> list[Prediction]:
        """Return the stored predictions for the examples, or compute and store them."""
        content = hash_text(str(kind), hash_file(self._run / "model" / MANIFEST), *map(str, examples))
        path = self._run / f"predictions.{kind}-{content[:16]}.jsonl"
        if path.exists():
            return list(read_predictions(path))
        predictions = list(decode(self._student, examples, kind=kind))
        if os.access(self._run, os.W_OK):
            write_jsonl(path, map(asdict, predictions))
        return predictions

    @property
    def _student(self) -> Student:
        if self._loaded is None:
            self._loaded = checkpoint.load(self._run / "model")
        return self._loaded


def read_predictions(path: Path) -> Iterator[Prediction]:
    """Yield the predictions of a JSONL file.

    Raises:
        DataError: If a line is not a prediction. The message names the file and line.
    """

    def fail(defect: DataError) -> None:
        raise DataError(f"{defect}; remove the file to predict again")

    for where, row in read_jsonl(path, on_defect=fail):
        try:
            prediction = Prediction(row["id"], tuple(row["words"]))
            for task in ANNOTATIONS.values():
                annotations = [task.from_row(values) for values in row.get(task.key, ())]
                prediction = task.replaced(prediction, annotations)
            yield prediction
        except (KeyError, TypeError, ValueError) as error:
            fail(DataError(f"not a prediction ({error})", where=where))
