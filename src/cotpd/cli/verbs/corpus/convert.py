"""`cotpd convert`: convert a corpus to another format and report everything that is lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cotpd.cli.display.terminal import echo, echo_json
from cotpd.core.errors import UsageError

if TYPE_CHECKING:
    from cotpd.corpus.conversion import WrittenFile
    from cotpd.corpus.defects import Defect
    from cotpd.corpus.formats.parsing.reading import Splitting

_FORMATS = "brat, conll2003, gliner, hf_datasets, jsonl, label_studio, mnre, spacy_docbin, tacred, twitter, wikidiverse"
_SHOWN = 3
"""The number of defects to print per kind."""


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A corpus directory or file; - for stdin.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="A new file, or a new directory for several splits; - for stdout.")
    ],
    read_as: Annotated[
        str | None, typer.Option("--from", help=f"Format of IN, detected by default: {_FORMATS}.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Format of OUT, by default determined by its suffix.")] = None,
    scheme: Annotated[
        Literal["IOB1", "BIO", "BIOES", "BILOU"] | None, typer.Option(help="Tag scheme of IN, detected by default.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Columns of word and tag, counted from 0; -1 is the last column. Default: 0,-1."),
    ] = None,
    repair: Annotated[
        Literal["conlleval", "drop", "strict"],
        typer.Option(help="Entities whose tags break their scheme: keep them, drop them, or stop with an error."),
    ] = "conlleval",
    words: Annotated[
        Literal["fine", "coarse", "characters", "spaces"] | None,
        typer.Option(
            help="Tokenisation of running text; spaces if it is tokenised already. Default: characters for scripts "
            "without spaces (Chinese, Japanese, Thai, …), else fine."
        ),
    ] = None,
    posts: Annotated[
        list[str] | None,
        typer.Option(help="Number of posts to select at random from a split, such as train=600; repeatable."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of --posts. With one seed, a smaller selection is part of a larger one.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with all losses and defects.")] = False,
) -> None:
    """Convert a corpus to another format and report what that format cannot hold.

    Captions, knowledge and variants in sidecar files are copied if OUT is a directory, except those of posts whose
    ids change. If OUT is -, posts are written to stdout and the report to stderr; - requires --from or --to and a
    single file. Exit codes: 0 written (with or without losses), 2 wrong usage (for example, OUT exists), 5 invalid
    data or a value that cannot be written, 6 missing package.

    Examples:

        cotpd convert data/twitter2017 data/twitter2017-jsonl --to jsonl

        cotpd convert eng.testb - --from conll2003 --to jsonl | jq -c .words

        cotpd convert data/twitter2017 data/twitter2017-600 --to jsonl --posts train=600 --posts dev=200
    """
    from cotpd.cli.input.pipes import piped
    from cotpd.core.labels import Repair
    from cotpd.corpus.conversion import Subsample
    from cotpd.corpus.conversion import convert as write
    from cotpd.corpus.defects import RaiseOnError
    from cotpd.corpus.formats.parsing.reading import Reading

    handler = RaiseOnError()
    reading = Reading(
        handler,
        Repair(repair),
        scheme=scheme,
        columns=_columns(columns),
        splitting=_splitting(words),
        format=read_as,
    )
    with piped(source, target, read_as=read_as, to=to) as paths:
        files = write(paths.source, paths.target, reading, to=to, subsample=Subsample(_sizes(posts or []), seed))
    text = json.dumps(_to_dict(files, handler.warnings), ensure_ascii=False, indent=2)
    text = text if as_json else "\n".join(_lines(files, handler.warnings))
    _print(paths.name_pipes(text), as_json=as_json, err=paths.to_stdout)


def _print(text: str, *, as_json: bool, err: bool) -> None:
    if as_json and not err:
        echo_json(text)
    else:
        echo(text, err=err)


def _sizes(texts: list[str]) -> dict[str, int]:
    if invalid := [text for text in texts if not text.partition("=")[2].isdecimal()]:
        raise UsageError(f"--posts {invalid[0]}: expected SPLIT=NUMBER, for example train=600")
    return {split: int(number) for split, _, number in (text.partition("=") for text in texts)}


def _columns(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        word, tag = (int(number) for number in text.split(","))
    except ValueError as error:
        raise UsageError(f"--columns {text}: expected two numbers, for example 0,-1") from error
    return word, tag


def _splitting(words: str | None) -> Splitting | None:
    from cotpd.core.splitting import Rule

    if words is None:
        return None
    return "spaces" if words == "spaces" else Rule(words)


def _to_dict(files: Mapping[str, WrittenFile], defects: list[Defect]) -> dict[str, Any]:
    from cotpd.corpus.conversion import total_losses

    return {
        "files": {split: {**asdict(file), "path": str(file.path)} for split, file in files.items()},
        "losses": dict(total_losses(files)),
        "defects": [asdict(defect) for defect in defects],
    }


def _lines(files: Mapping[str, WrittenFile], defects: list[Defect]) -> Iterator[str]:
    from cotpd.corpus.defects import DROPPED, SKIPPED

    kinds = Counter(defect.kind for defect in defects)
    dropped = [defect.kind for defect in defects if defect.kind in SKIPPED or defect.message.endswith(DROPPED)]
    skipped = ", ".join(f"{number:,} {kind}" for kind, number in sorted(Counter(dropped).items()))
    for split, file in files.items():
        losses = ", ".join(f"{count:,} {kind}" for kind, count in sorted(file.losses.items()))
        nothing = "nothing while writing" if skipped else "nothing"
        yield f"{split}: {file.posts:,} posts to {file.path}; lost: {losses or nothing}"
    if skipped:
        yield f"skipped while reading (warnings, see below): {skipped}"
    shown: Counter[str] = Counter()
    for defect in sorted(defects, key=lambda defect: defect.kind):
        if not shown[defect.kind]:
            yield f"\nwarnings of the reader: {defect.kind} ({kinds[defect.kind]:,})"
        shown[defect.kind] += 1
        if shown[defect.kind] <= _SHOWN:
            yield f"  {defect.where}: {defect.message}"
