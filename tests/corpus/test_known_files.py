"""The hashes of published files are those of the files."""

from pathlib import Path

from cotpd.corpus.known_files import KNOWN, recognise


def test_each_real_file_is_recognised(shared: Path) -> None:
    files = [
        path for path in shared.glob("*/*.txt") if "train" in path.name or "val" in path.name or "test" in path.name
    ]
    assert len([recognise(path) for path in files if recognise(path)]) == len(files) == len(KNOWN)
