"""Every task has an entry in the tables behind the verbs."""

from __future__ import annotations

from typing import get_args

from cotpd.cli.display.tasks import DISPLAYS
from cotpd.core.config import Task
from cotpd.inference.rows.extraction import ROW_TASKS


def test_every_task_can_be_extracted_and_printed() -> None:
    for table in (ROW_TASKS, DISPLAYS):
        assert set(table) == set(get_args(Task))
