"""A broker's URL as the keywords of an aiomqtt client. Pure."""

import ssl
from typing import Any
from urllib.parse import unquote, urlsplit


def client_arguments(url: str) -> dict[str, Any]:
    """Keywords for `aiomqtt.Client`: mqtt:// or mqtts://, user, password, host and port."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "mqtts"
    return {
        "hostname": parts.hostname or "127.0.0.1",
        "port": parts.port or (8883 if is_tls else 1883),
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "tls_context": ssl.create_default_context() if is_tls else None,
    }
