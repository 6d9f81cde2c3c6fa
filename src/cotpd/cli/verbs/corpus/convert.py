"""`cotpd convert`: a corpus in any format becomes one in any other, with every loss counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cotpd.core.errors import UsageError
from cotpd.core.labels import Repair

if TYPE_CHECKING:
    from cotpd.corpus.conversion import Written
    from cotpd.corpus.defects import Defect
    from cotpd.corpus.formats.parsing.reading import Splitting

_FORMATS = "brat, conll2003, gliner, hf_datasets, jsonl, label_studio, mnre, spacy_docbin, tacred, twitter, wikidiverse"
_SHOWN = 3
"""Defects of each kind that are shown; the rest is counted."""


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A corpus directory or one file; - is stdin.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="A new file, or a new directory for several splits; - is stdout.")
    ],
    read_as: Annotated[str | None, typer.Option("--from", help=f"The format of IN: {_FORMATS}.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="The format of OUT; by default what its ending tells.")] = None,
    repair: Annotated[Repair, typer.Option(help="What to do with tags that break the scheme.")] = Repair.CONLLEVAL,
    label_map: Annotated[
        list[str] | None, typer.Option(help="A type to rename, such as OTHER=MISC; may be given often.")
    ] = None,
    scheme: Annotated[
        Literal["IOB1", "BIO", "BIOES", "BILOU"] | None, typer.Option(help="The tag scheme of IN; detected by default.")
    ] = None,
    columns: Annotated[
        str, typer.Option(help="Columns of word and tag in CoNLL files, from 0; -1 is the last.")
    ] = "0,-1",
    words: Annotated[
        Literal["fine", "coarse", "spaces"], typer.Option(help="How running text becomes words; spaces: split before.")
    ] = "fine",
    posts: Annotated[
        list[str] | None, typer.Option(help="Draw so many posts of a split, such as train=600; may be given often.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of --posts; a small draw is part of a larger one of its seed.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with every loss and defect.")] = False,
) -> None:
    """Write a corpus in another format, and say what that format cannot hold.

    Losses do not change the exit code: 0 written, 2 wrong usage (OUT exists), 5 bad data or a value that cannot be
    written, 6 a package is missing. Captions, knowledge and variants beside IN come into the directory OUT, but for
    those of posts whose ids OUT cannot hold, which are lost, as are all of them where OUT is one file elsewhere.
    With - for OUT the posts go to stdout and all that is said of them to stderr; - needs --from or --to, and one
    file.

    Examples:

        cotpd convert data/twitter2017 data/twitter2017-jsonl --to jsonl

        cotpd convert eng.testb - --from conll2003 --to jsonl --label-map MISC=OTHER | jq -c .words

        cotpd convert data/twitter2017 data/twitter2017-600 --to jsonl --posts train=600 --posts dev=200
    """
    from cotpd.cli.input.pipes import piped
    from cotpd.corpus.conversion import Draw
    from cotpd.corpus.conversion import convert as write
    from cotpd.corpus.defects import Strict
    from cotpd.corpus.formats.parsing.reading import Reading

    strict = Strict()
    reading = Reading(
        strict,
        repair,
        _renaming(label_map or []),
        scheme=scheme,
        columns=_columns(columns),
        splitting=_splitting(words),
        format=read_as,
    )
    with piped(source, target, read_as=read_as, to=to) as paths:
        done = write(paths.source, paths.target, reading, to=to, draw=Draw(_sizes(posts or []), seed))
    text = json.dumps(_to_dict(done, strict.warnings), ensure_ascii=False, indent=2)
    text = text if as_json else "\n".join(_lines(done, strict.warnings))
    typer.echo(paths.shown(text), err=paths.to_stdout)


def _renaming(pairs: list[str]) -> dict[str, str]:
    if wrong := [pair for pair in pairs if not all(pair.partition("="))]:
        raise UsageError(f"--label-map {wrong[0]}: write OLD=NEW")
    return {old: new for old, _, new in (pair.partition("=") for pair in pairs)}


def _sizes(texts: list[str]) -> dict[str, int]:
    found = {split: number for split, _, number in (text.partition("=") for text in texts)}
    if wrong := [text for text in texts if not text.partition("=")[2].isdecimal()]:
        raise UsageError(f"--posts {wrong[0]}: write SPLIT=NUMBER, such as train=600")
    return {split: int(number) for split, number in found.items()}


def _columns(text: str) -> tuple[int, int]:
    try:
        word, tag = (int(number) for number in text.split(","))
    except ValueError as error:
        raise UsageError(f"--columns {text}: two numbers are expected, such as 0,-1") from error
    return word, tag


def _splitting(words: str) -> Splitting:
    from cotpd.core.splitting import Rule

    return "spaces" if words == "spaces" else Rule(words)


def _to_dict(done: Mapping[str, Written], defects: list[Defect]) -> dict[str, Any]:
    from cotpd.corpus.conversion import total

    return {
        "files": {split: {**asdict(written), "path": str(written.path)} for split, written in done.items()},
        "losses": dict(total(done)),
        "defects": [asdict(defect) for defect in defects],
    }


def _lines(done: Mapping[str, Written], defects: list[Defect]) -> Iterator[str]:
    for split, written in done.items():
        losses = ", ".join(f"{count:,} {kind}" for kind, count in sorted(written.losses.items()))
        yield f"{split}: {written.posts:,} posts to {written.path}; lost: {losses or 'nothing'}"
    kinds = Counter(defect.kind for defect in defects)
    shown: Counter[str] = Counter()
    for defect in sorted(defects, key=lambda defect: defect.kind):
        if not shown[defect.kind]:
            yield f"\nwhile reading: {defect.kind} ({kinds[defect.kind]:,})"
        shown[defect.kind] += 1
        if shown[defect.kind] <= _SHOWN:
            yield f"  {defect.where}: {defect.message}"
