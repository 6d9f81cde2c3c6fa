"""Recognition of published corpus files by their SHA-256, independent of their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cotpd.core.files import hash_file


@dataclass(frozen=True, slots=True)
class Version:
    """A published file.

    Attributes:
        corpus: The name of the corpus.
        split: The split in the file.
        edition: The source of this version, since several versions of a corpus may exist.
    """

    corpus: str
    split: str
    edition: str

    def __str__(self) -> str:
        return f"{self.corpus} {self.split} ({self.edition})"


_UMT, _MNRE, _TOMBERT = "as in jefferyYu/UMT", "as in thecharm/MNRE", "as in jefferyYu/TomBERT"

KNOWN = {
    "a6246e37aa1c8acd738747fa8257e01775f2a1cc0d4f36f82f9d41d6246ad6fa": Version("Twitter-2015", "train", _UMT),
    "9dcc7f9df7331de3c9cdf67a3450e041c41c6254b5e43925c576e2dfaaabe2ad": Version("Twitter-2015", "dev", _UMT),
    "801e149e8635b19d66b4ec1212c329be340ada501b35c5fa55455fb6f53633be": Version("Twitter-2017", "train", _UMT),
    "41b5db90cb32059c14c2c3ccd50845fb77f1e3d3e4f7d0c210a61bc507d8a73e": Version("Twitter-2017", "dev", _UMT),
    "a7d9e172ae85bd3e35276eb2b01ce223321bdc92a47b234e24305d72e7a05243": Version("Twitter-2017", "test", _UMT),
    "1cc34438a00e2a2db73e4eba297820f926f62abd1fddc693caa13c58b62428b7": Version("MNRE", "train", _MNRE),
    "c76865179b5678167b164c21fd25ed31f9a1416da393ac93ce70f32b00352b75": Version("MNRE", "dev", _MNRE),
    "63dd85dcd305763c4e85795647c622d6f2ece1a9ec6b39f600675d772d3e7e47": Version("Twitter-15", "train", _TOMBERT),
    "b7bac89da20c542b259c6df9f1ab426d931a4a710ddb7cc11a51ac0b29d88bab": Version("Twitter-15", "dev", _TOMBERT),
    "8dbb04f9f5c596f623a8d0ac131df35641ab0c6f7674390de6694b2cf8c7de75": Version("Twitter-17", "train", _TOMBERT),
    "b12e81d9d75b4a37dfdf263fc17da707432df0a95aeb1308d5737dfccb23a671": Version("Twitter-17", "dev", _TOMBERT),
}
"""Published files by SHA-256."""


def recognise(path: Path) -> Version | None:
    """Return the published file with the same bytes, or None."""
    return KNOWN.get(hash_file(path))
