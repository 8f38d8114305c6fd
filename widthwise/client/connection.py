"""How both clients reach a service: address, key and settings of the HTTP library, and what its failures mean."""

import os
import re
import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx

from widthwise.client.core import KEY_VARIABLE
from widthwise.client.steps import Reply, Sent
from widthwise.errors import ServiceError, UnreachableServiceError

DEFAULT_URL = "http://127.0.0.1:8000"  # the default address of `widthwise serve`
URL_VARIABLE = "WIDTHWISE_URL"
CONNECT_SECONDS = 5.0  # a reachable host accepts within 5 s
_KEY = re.compile(r"[\x21-\x7e]{0,512}")  # printable ASCII, as a header allows


def service_url(url: str | None = None) -> str:
    """Return the service's URL: the given one, else WIDTHWISE_URL, else this machine's default port."""
    return url or os.environ.get(URL_VARIABLE) or DEFAULT_URL


def without_userinfo(url: str) -> str:
    """Return a URL without the name and password that it may hold, for messages."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def checked_key(given: str | None) -> str:
    """Return the API key: the given one, else WIDTHWISE_API_KEY, else none. Raises ServiceError for what is none."""
    key = (given if given is not None else os.environ.get(KEY_VARIABLE, "")).strip()
    if not _KEY.fullmatch(key):  # the HTTP library would quote it in its error
        raise ServiceError(
            f"the API key has characters that no key has (its length is {len(key)}); give one as `widthwise keys "
            f"create` prints it, as api_key or in {KEY_VARIABLE}"
        )
    return key


def http_options(url: str, key: str, timeout_seconds: float) -> dict[str, Any]:
    """Return the arguments that httpx's clients take. Raises ServiceError for what is not the URL of a service."""
    authority = os.environ.get("SSL_CERT_FILE")  # httpx reads it only if it also reads the environment's proxies
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("a URL has a scheme, a host and optionally a port and a path")
        httpx.URL(url)
        return {
            "verify": ssl.create_default_context(cafile=authority) if authority else True,
            "base_url": url,
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
            "follow_redirects": False,  # they would send the key elsewhere
            "timeout": httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
            # A proxy from the environment can't reach this machine's loopback.
            "trust_env": parts.hostname not in ("127.0.0.1", "::1", "localhost"),
        }
    except OSError as error:
        raise ServiceError(f"SSL_CERT_FILE names {authority}, which can't be read: {error.strerror}") from None
    except (ValueError, httpx.InvalidURL) as error:
        raise ServiceError(
            f"{without_userinfo(url)!r} is not the URL of a service ({error}); give one such as {DEFAULT_URL}"
        ) from None


def request_options(sent: Sent, usual: httpx.Timeout) -> dict[str, Any]:
    """Return the arguments that `request` of httpx's clients takes."""
    patience = sent.patience_seconds
    return {
        "method": sent.method,
        "url": sent.path,
        "content": sent.content,
        "params": sent.query,
        "headers": sent.headers,
        "timeout": usual if patience is None else httpx.Timeout(patience, connect=CONNECT_SECONDS),
    }


def reply_of(response: httpx.Response) -> Reply:
    """Return what came back."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, response.content, without_userinfo(str(response.url)))


#: What sending may raise; ValueError: a header or host that is not ASCII.
FAILURES = (httpx.HTTPError, httpx.InvalidURL, ValueError)


def failed(error: Exception, sent: Sent, url: str) -> ServiceError:
    """Return what a failure to send means."""
    if isinstance(error, httpx.ConnectError):
        return UnreachableServiceError(f"no service at {url}: start one with `widthwise serve`", refused=True)
    if isinstance(error, httpx.TimeoutException):
        return UnreachableServiceError(
            f"the service at {url} did not answer {sent.method} {sent.path} in time; try again",
            refused=isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout),
        )
    if isinstance(error, httpx.HTTPError):
        return UnreachableServiceError(f"the request to {url} failed: {error}")
    return ServiceError(f"the request to {url} failed: {error}")
