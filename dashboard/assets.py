"""Files that browsers load: our own and the few we take from node_modules, under one address per version.

The address holds a digest of all of them, so browsers may keep every file for ever and never mix two versions.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hub.errors import BadSetting

STATIC = Path(__file__).parent / "static"
NODE_MODULES = Path(__file__).parent.parent / "node_modules"
VENDOR = {
    "vendor/maplibre-gl.mjs": "maplibre-gl/dist/maplibre-gl.mjs",
    "vendor/maplibre-gl-worker.mjs": "maplibre-gl/dist/maplibre-gl-worker.mjs",
    "vendor/maplibre-gl.css": "maplibre-gl/dist/maplibre-gl.css",
    "vendor/uplot.mjs": "uplot/dist/uPlot.esm.js",
    "vendor/uplot.css": "uplot/dist/uPlot.min.css",
}
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Assets:
    """What may be served, by name, and the version in its address."""

    version: str
    files: Mapping[str, Path]

    def url(self, name: str) -> str:
        return f"/static/{self.version}/{name}"


def load_assets() -> Assets:
    """Every file that the page needs; BadSetting when node_modules lacks one."""
    files = {path.name: path for path in STATIC.iterdir() if path.suffix in MEDIA_TYPES}
    files |= {name: NODE_MODULES / path for name, path in VENDOR.items()}
    missing = [path for path in files.values() if not path.is_file()]
    if missing:
        raise BadSetting(f"the page needs {missing[0].relative_to(NODE_MODULES.parent)}; run: npm ci")
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return Assets(digest.hexdigest()[:12], files)
