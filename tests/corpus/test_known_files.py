"""The hashes of published files are those of the files."""

from pathlib import Path

from cotpd.corpus.known_files import KNOWN, recognise


def test_each_real_file_is_recognised(shared: Path) -> None:
    splits = ("train", "dev", "val", "test")
    files = [path for path in shared.rglob("*.txt") if any(split in path.name for split in splits)]
    assert len([recognise(path) for path in files if recognise(path)]) == len(files) == len(KNOWN)
