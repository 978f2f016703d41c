"""What holds for every answer and every request, whatever the route: headers, and no forged requests.

A request that changes something must come from a page of ours: browsers say where it was made (Sec-Fetch-Site,
Origin) and no script can forge that, so no token has to travel in forms. Who says nothing is refused.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def content_security_policy(map_origins: Sequence[str] = ()) -> str:
    """What a page of ours may load: our own files, and from the origins of a real base map its tiles and styles."""
    map_ = "".join(f" {origin}" for origin in map_origins)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: blob:{map_}",  # MapLibre's icons are data: in its style sheet
            f"connect-src 'self'{map_}",
            "worker-src 'self'",
            "font-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


class Guard:
    """Adds the headers to every answer and refuses what another site asked a browser to send."""

    def __init__(self, app: ASGIApp, *, page_url: str | None, map_origins: Sequence[str] = ()) -> None:
        self._app = app
        self._own_origin = _origin(page_url) if page_url else None
        self._headers = {"Content-Security-Policy": content_security_policy(map_origins), **HEADERS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        if scope["method"] not in SAFE_METHODS and not self._is_ours(scope):
            refusal = PlainTextResponse("This request was not made by a page of Beffroi.\n", status_code=403)
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _is_ours(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        fetched_from = headers.get("sec-fetch-site")
        if fetched_from is not None:
            return fetched_from == "same-origin"
        origin = headers.get("origin")
        return origin is not None and origin in (self._own_origin, f"{scope['scheme']}://{headers.get('host', '')}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
