"""What a site is: a page, or several, of a business that shows the widget; and the secret its server signs customers with.

Nothing secret is stored: the identity secret is made from the server's own signing secret, the site's key and the
number of times it was changed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agent_core.errors import Invalid

KEY = re.compile("[a-z0-9][a-z0-9-]{0,39}")
#: As browsers write it in `Origin`, and as a Content-Security-Policy can say it (an IPv6 address it can't).
ORIGIN = re.compile(
    r"https?://(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*(?::[1-9][0-9]{0,4})?"
)
USUAL_PORTS = {"http": ":80", "https": ":443"}
ORIGINS, STARTERS = 100, 6
LANGUAGE = "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$"


def _key(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError("1 to 40 small letters, digits and -")
    return key


def _origin(text: str) -> str:
    origin = text.strip().rstrip("/").lower()
    origin = origin.removesuffix(USUAL_PORTS.get(origin.partition(":")[0], ":-"))
    if not ORIGIN.fullmatch(origin):
        raise ValueError(f"{text!r} is no origin such as https://shop.example: a scheme, a host, perhaps a port")
    return origin


Key = Annotated[str, AfterValidator(_key)]
Origin = Annotated[str, AfterValidator(_origin)]
Language = Annotated[str, Field(pattern=LANGUAGE)]
Words = Annotated[str, Field(min_length=1, max_length=300)]
Prompt = Annotated[str, Field(min_length=1, max_length=120)]


def customer_subject(site: str, id_: str) -> str:
    """Of the principal, and of the conversations that they own; the business calls them `id_`."""
    return f"customer:{site}:{id_}"


def customer_id(site: str, subject: str) -> str | None:
    """What the business calls them; None of visitors, whom nobody has signed for."""
    known = customer_subject(site, "")
    return subject.removeprefix(known) if subject.startswith(known) else None


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Theme(_Data):
    accent: str = Field("#0b5fff", pattern="^#[0-9a-fA-F]{6}$")
    radius: str = Field("12px", pattern=r"^\d{1,2}(\.\d{1,2})?(px|rem)$")
    font: str | None = Field(None, max_length=200, pattern=r"^[\w ,'\"-]+$")
    side: Literal["left", "right"] = "right"
    scheme: Literal["auto", "light", "dark"] = "auto"


class Site(_Data):
    """`greeting` and `starters` by language. No `team`: the server's. `rotation`: how often the secret was changed."""

    key: Key
    name: str = Field(min_length=1, max_length=80)
    origins: tuple[Origin, ...] = Field((), max_length=ORIGINS)
    identity_required: bool = False
    team: str | None = Field(None, max_length=80)
    language: Literal["auto"] | Language = "auto"
    theme: Theme = Theme()
    greeting: dict[Language, Words] = {}
    starters: dict[Language, Annotated[tuple[Prompt, ...], Field(max_length=STARTERS)]] = {}
    rotation: int = Field(0, ge=0)

    @property
    def audience(self) -> str:
        """Whom a host's JWT must be meant for."""
        return f"parley:{self.key}"


def read_site(values: dict[str, Any]) -> Site:
    """Raises Invalid with the field named."""
    try:
        return Site.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "site"
        raise Invalid(field, str(first["msg"]).removeprefix("Value error, ")) from None


def identity_secret(signing_secret: str, site: Site) -> str:
    """What the business's server signs with (HS256): 64 characters that change with the key and with each rotation."""
    purpose = f"parley identity:{site.key}:{site.rotation}"
    return hmac.new(signing_secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()
