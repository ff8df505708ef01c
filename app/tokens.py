"""Who is asking: signed tokens for visitors and developers, one secret word each for operators and services.

A visitor's token is all that a visitor has: whoever holds it reads and writes that visitor's conversations. It names a
random subject and nothing of the person.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from functools import lru_cache
from hmac import compare_digest
from pathlib import Path

import jwt

from agent_core.door import EVERY_SITE, Principal
from agent_core.errors import SetupError
from agent_core.settings import Settings

AUDIENCE = "parley"
VISITOR_SECONDS = 30 * 24 * 3600
#: The business says again who it is, at the latest the next day.
CUSTOMER_SECONDS = 12 * 3600
#: Tokens whose signature is not looked at a second time; the cache forgets what it was not asked for longest.
KNOWN = 2_000
DEVELOPER_SECONDS = 24 * 3600
SIGNED_ROLES = ("visitor", "customer", "developer")
SECRET_FILE = "parley.secret"
#: What a business's server said of its customer.
SAID = ("name", "language")


class Tokens:
    def __init__(self, settings: Settings) -> None:
        self.secret = signing_secret(settings)
        self._verified = lru_cache(KNOWN)(self._verify)
        self._words = [
            (token.get_secret_value().encode(), principal)
            for token, principal in (
                (settings.operator_token, Principal("operator", "operator", EVERY_SITE, "Operator")),
                (settings.service_token, Principal("service", "service")),
            )
            if token is not None
        ]

    def visitor(self, site: str = "default") -> tuple[Principal, str]:
        """Somebody new, and the token to be known again by."""
        who = Principal("visitor", f"visitor_{secrets.token_hex(16)}", site)
        return who, self.sign(who, VISITOR_SECONDS)

    def customer(self, who: Principal) -> str:
        return self.sign(who, CUSTOMER_SECONDS)

    def developer(self) -> str:
        """For who can read the signing secret, and so is the owner: sees every conversation."""
        return self.sign(Principal("developer", "developer"), DEVELOPER_SECONDS)

    def sign(self, who: Principal, seconds: int) -> str:
        now = int(time.time())
        claims: dict[str, object] = {
            "aud": AUDIENCE,
            "sub": who.subject,
            "role": who.role,
            "site": who.site,
            "iat": now,
            "exp": now + seconds,
        }
        claims |= {name: value for name in SAID if (value := getattr(who, name)) is not None}
        return jwt.encode(claims, self.secret, algorithm="HS256")

    def who(self, token: str) -> Principal | None:
        """None for a token that is forged, over, or meant for somebody else."""
        raw = token.encode(errors="replace")
        for word, principal in self._words:
            if compare_digest(word, raw):
                return principal
        try:
            who, expires = self._verified(token)
        except (jwt.InvalidTokenError, UnicodeError):
            return None
        return who if who.role in SIGNED_ROLES and expires > time.time() else None

    def _verify(self, token: str) -> tuple[Principal, float]:
        required = ["exp", "aud", "sub", "role", "site"]
        claims = jwt.decode(token, self.secret, algorithms=["HS256"], audience=AUDIENCE, options={"require": required})
        said = {name: claims.get(name) for name in SAID}
        return Principal(claims["role"], claims["sub"], claims["site"], **said), claims["exp"]


def signing_secret(settings: Settings) -> str:
    """The owner's, or one made once and kept beside the database. Raises SetupError when it could not be shared."""
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    if not settings.sqlite:
        raise SetupError("PARLEY_SECRET", "servers that share a database share it too: openssl rand -hex 32")
    path = Path(settings.database_url.partition("///")[2]).parent / SECRET_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            _write_private(path, secrets.token_hex(32))
        return path.read_text().strip()
    except OSError as error:
        raise SetupError("PARLEY_DATABASE_URL", f"{path}, beside it, can't be kept: {error.strerror}") from None


def _write_private(path: Path, text: str) -> None:
    """All of it or nothing, readable by the owner alone; a second process that begins at the same time finds the first's."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()
