"""The way to an endpoint: directly or through a proxy of the environment, with or without encryption."""

from __future__ import annotations

import importlib.util
import logging
import os
import ssl
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.request import getproxies_environment, proxy_bypass

import httpcore2
import httpx2

from cotpd.core.errors import MissingExtraError, UsageError

logger = logging.getLogger(__name__)

_HTTP_PROXIES = ("http", "https")
_SOCKS_PROXIES = ("socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the environment variable that names it."""

    url: httpx2.URL
    variable: str

    def __str__(self) -> str:
        return f"the proxy {self.url.copy_with(userinfo=b'')} ({self.variable})"


class Route:
    """Opens connections to one endpoint, one for each request.

    A response that nobody asked for, sent at once or late, stays on a connection that no other request uses. So it is
    never taken for the answer to another question.

    A loopback address is reached directly. Other addresses use ``HTTPS_PROXY``, ``HTTP_PROXY`` or ``ALL_PROXY``, in
    upper or lower case, unless ``NO_PROXY`` excludes them.

    Args:
        url: The address of the endpoint.

    Attributes:
        proxy: The proxy; None for a direct connection.

    Raises:
        UsageError: If the proxy or the certificate file of the environment is invalid.
        MissingExtraError: If a SOCKS proxy needs a package that is not installed.
    """

    def __init__(self, url: httpx2.URL) -> None:
        self.proxy = find_proxy(url)
        is_encrypted = url.scheme == "https" or (self.proxy is not None and self.proxy.url.scheme == "https")
        self._context = _ssl_context(is_needed=is_encrypted)

    def open(self, network: httpcore2.NetworkBackend) -> httpcore2.ConnectionPool:
        """Return a pool of one connection, to be used for one request."""
        if self.proxy is None:
            return httpcore2.ConnectionPool(ssl_context=self._context, max_connections=1, network_backend=network)
        url = self.proxy.url
        origin = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/")
        password = (url.username.encode(), url.password.encode()) if url.userinfo else None
        if url.scheme in _SOCKS_PROXIES:
            return httpcore2.SOCKSProxy(
                origin, password, ssl_context=self._context, max_connections=1, network_backend=network
            )
        return httpcore2.HTTPProxy(
            origin,
            password,
            ssl_context=self._context,
            proxy_ssl_context=self._context if url.scheme == "https" else None,
            max_connections=1,
            network_backend=network,
        )


def find_proxy(url: httpx2.URL) -> Proxy | None:
    """Return the proxy of the environment for an address; None for a direct connection. See `Route` for the rules."""
    proxies = getproxies_environment()
    scheme = next((each for each in (url.scheme, "all") if proxies.get(each)), None)
    if scheme is None or _is_loopback(url.host) or _is_excluded(url, proxies):
        return None
    name = f"{scheme}_proxy"
    variable = name.upper() if name.upper() in os.environ else name
    address = proxies[scheme] if "://" in proxies[scheme] else f"http://{proxies[scheme]}"
    try:
        proxy = Proxy(httpx2.URL(address), variable)
    except httpx2.InvalidURL:
        proxy = Proxy(httpx2.URL(), variable)
    if not proxy.url.host:
        raise UsageError(f"{variable} is not a valid URL; write http://host:port, or remove the variable")
    if proxy.url.scheme not in (*_HTTP_PROXIES, *_SOCKS_PROXIES):
        known = "http, https, socks5 or socks5h"
        raise UsageError(f"{variable} names a proxy of kind {proxy.url.scheme!r}, expected {known}")
    if proxy.url.scheme in _SOCKS_PROXIES and importlib.util.find_spec("socksio") is None:
        advice = f"run: pip install socksio, or add {url.host} to NO_PROXY"
        raise MissingExtraError(f"{proxy} is a SOCKS proxy, which needs the socksio package; {advice}")
    return proxy


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_excluded(url: httpx2.URL, proxies: dict[str, str]) -> bool:
    """Return True if ``NO_PROXY`` holds the host, one of its domains or a network such as 10.0.0.0/8 around it."""
    host = f"{url.host}:{url.port}" if url.port else url.host
    if proxy_bypass(host):
        return True
    for entry in proxies.get("no", "").split(","):
        with suppress(ValueError):
            if "/" in entry and ip_address(url.host) in ip_network(entry.strip(), strict=False):
                return True
    return False


def _ssl_context(*, is_needed: bool) -> ssl.SSLContext | None:
    """Return the context for encrypted connections; None if there are none.

    A certificate file of the environment that cannot be read is an error, or a warning for a plain connection.
    """
    variable = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)
    if not is_needed:
        if variable and not os.path.exists(os.environ[variable]):
            logger.warning("%s=%s does not exist; https addresses will fail", variable, os.environ[variable])
        return None
    try:
        return httpcore2.default_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        where = f"{variable}={os.environ[variable]}" if variable else "the certificates of this system"
        advice = "name a file of PEM certificates, or remove the variable"
        raise UsageError(f"{where}: the certificates cannot be read ({error.strerror or error}); {advice}") from error
