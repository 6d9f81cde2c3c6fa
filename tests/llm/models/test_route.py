"""Proxies and certificates of the environment: used where they apply, and named where they are wrong."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
from typing import Any

import httpx2
import pytest

from cotpd.core.errors import MissingExtraError, UsageError
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.models.route import find_proxy
from cotpd.testing.fake_server import FakeServer

QUESTION = Request((Message("user", "Who?"),), Parameters(9))
REMOTE = "http://192.0.2.7/v1"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*NAMES, *map(str.lower, NAMES), "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def proxy_of(address: str) -> str | None:
    proxy = find_proxy(httpx2.URL(address))
    return str(proxy) if proxy else None


def test_each_scheme_uses_its_variable_and_a_loopback_address_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "proxy.test:3128")
    environment.setenv("https_proxy", "http://me:hush@secure.test:1")
    assert proxy_of("http://llm.test/v1") == "the proxy http://proxy.test:3128 (HTTP_PROXY)"
    assert proxy_of("https://llm.test/v1") == "the proxy http://secure.test:1 (https_proxy)"
    for host in ("localhost:8000", "127.0.0.1:8000", "127.9.9.9", "[::1]:11434", "llm.localhost"):
        assert proxy_of(f"http://{host}/v1") is None, host
    environment.delenv("HTTP_PROXY")
    environment.setenv("ALL_PROXY", "http://all.test:2")
    assert proxy_of("http://llm.test/v1") == "the proxy http://all.test:2 (ALL_PROXY)"


@pytest.mark.parametrize("excluded", ["llm.test", ".test", "x, llm.test:8000", "*", "10.0.0.0/8", "fd00::/8"])
def test_no_proxy_excludes_hosts_domains_and_networks(excluded: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "http://all.test:2")
    environment.setenv("NO_PROXY", excluded)
    host = {"10.0.0.0/8": "10.1.2.3", "fd00::/8": "[fd00::7]"}.get(excluded, "llm.test")
    assert proxy_of(f"http://{host}:8000/v1") is None
    assert (proxy_of("http://other.example/v1") is None) == (excluded == "*")


def test_a_request_goes_through_the_proxy(chat_server: FakeServer, environment: pytest.MonkeyPatch) -> None:
    """A plain proxy gets the whole address in the request line."""
    environment.setenv("HTTP_PROXY", chat_server.url.removesuffix("/v1"))
    with ChatModel("small", base_url=REMOTE) as model:
        assert model.answer(QUESTION).text
    assert chat_server.questions[0]["path"] == f"{REMOTE}/chat/completions"


def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://me:hush-hush@127.0.0.1:9")
    message = r"through the proxy http://127\.0\.0\.1:9 \(HTTP_PROXY\) gave no answer: .*list the host in NO_PROXY"
    with ChatModel("small", base_url=REMOTE) as model, pytest.raises(CallError, match=message) as raised:
        model.answer(QUESTION)
    assert raised.value.fault is Fault.UNREACHABLE


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("http://proxy.test:port", "ALL_PROXY is not a valid URL"),
        ("http://", "ALL_PROXY is not a valid URL"),
        ("socks4://127.0.0.1:9", "ALL_PROXY names a proxy of kind 'socks4', expected http, https, socks5 or socks5h"),
    ],
)
def test_an_invalid_proxy_is_a_usage_error(proxy: str, message: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", proxy)
    with pytest.raises(UsageError, match=re.escape(message)):
        ChatModel("small", base_url=REMOTE)


def test_a_socks_proxy_without_its_package_names_the_package(environment: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def hide(name: str, *rest: Any) -> Any:
        return None if name == "socksio" else find_spec(name, *rest)

    environment.setattr(importlib.util, "find_spec", hide)
    environment.setenv("ALL_PROXY", "socks5h://127.0.0.1:9")
    with pytest.raises(MissingExtraError, match=r"\(ALL_PROXY\) is a SOCKS proxy.*pip install socksio, or add 192"):
        ChatModel("small", base_url=REMOTE)
    ChatModel("small", base_url="http://localhost:8000/v1")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE"])
def test_certificates_that_cannot_be_read_are_an_error_that_names_the_variable(
    variable: str, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: os.PathLike[str]
) -> None:
    environment.setenv(variable, f"{tmp_path}/missing.pem")
    with pytest.raises(UsageError, match=rf"{variable}=.*missing\.pem: the certificates cannot be read \(No such file"):
        ChatModel("small", base_url="https://llm.test/v1")
    with caplog.at_level(logging.WARNING):
        ChatModel("small", base_url="http://localhost:8000/v1")
    assert f"{variable}={tmp_path}/missing.pem does not exist" in caplog.text
