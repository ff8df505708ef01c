"""What the build of `web/` has made: read once, served from memory, read again when it was built anew.

Files of the builds before are served as long as the build keeps them, for pages that were opened then.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from agent_core.errors import Refused

DIST = Path(__file__).parent.parent / "web" / "dist"
#: A plain name; what is in the manifest is served, and nothing else.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
#: `widget-B4KX2Q7A.js`: another content has another name.
HASHED = re.compile(r".+-[A-Za-z0-9]{6,}\.[a-z0-9]+")
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
COMPRESSED = (".js", ".css", ".svg", ".json")


class NotBuilt(Refused):
    def __init__(self) -> None:
        super().__init__("not_built", "The widget has not been built here: run make web.", status=404)


@dataclass(frozen=True, slots=True)
class Asset:
    type: str
    content: bytes
    gzipped: bytes | None
    etag: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Asset:
        suffix = Path(name).suffix
        type_ = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        packed = gzip.compress(content, 9, mtime=0) if suffix in COMPRESSED else None
        return cls(type_, content, packed, f'"{hashlib.sha256(content).hexdigest()[:20]}"')


class Assets:
    def __init__(self, folder: Path = DIST) -> None:
        self._manifest = folder / "manifest.json"
        self._read_at: int | None = None
        self._names: dict[str, str] = {}
        self._files: dict[str, Asset] = {}

    def name(self, entry: str) -> str:
        """The file name of `widget.js` and the like. Raises NotBuilt."""
        self._refresh()
        try:
            return self._names[entry]
        except KeyError:
            raise NotBuilt from None

    def built(self, entry: str) -> Asset:
        """Raises NotBuilt."""
        name = self.name(entry)
        return self._files[name]

    def find(self, name: str) -> Asset | None:
        """Raises NotBuilt when nothing is built."""
        self._refresh()
        return self._files.get(name)

    def _refresh(self) -> None:
        try:
            changed = self._manifest.stat().st_mtime_ns
            if changed != self._read_at:
                self._read()
                self._read_at = changed
        except (OSError, ValueError):
            raise NotBuilt from None

    def _read(self) -> None:
        """Raises OSError or ValueError when a build is missing or half done."""
        entries = json.loads(self._manifest.read_text(encoding="utf-8"))
        names = {entry: name for entry, name in entries.items() if isinstance(name, str) and NAME.fullmatch(name)}
        self._files = {name: self._file(name) for name in (*names.values(), *self._earlier())}
        self._names = names

    def _earlier(self) -> list[str]:
        """Their names, of files that are there."""
        folder = self._manifest.parent
        try:
            builds = json.loads((folder / "earlier.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        names = (name for build in builds for name in build if isinstance(name, str))
        return [name for name in names if HASHED.fullmatch(name) and NAME.fullmatch(name) and (folder / name).is_file()]

    def _file(self, name: str) -> Asset:
        known = self._files.get(name) if HASHED.fullmatch(name) else None
        return known or Asset.of(name, (self._manifest.parent / name).read_bytes())
