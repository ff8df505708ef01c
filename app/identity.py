"""Who a business says its customer is: a short-lived JWT that its own server signs (HS256) with the site's secret.

Claims: `sub` the business's own id of the customer, `aud` "parley:SITE", `exp` at most an hour ahead; `name` and
`language` if it likes. `email` and whatever else is in it is neither kept nor used.
"""

from __future__ import annotations

import re
import time
from typing import Any

import jwt

from agent_core.door import Principal
from agent_core.errors import Refused
from agent_core.refusal_lines import Sentence
from agent_core.site import LANGUAGE, Site, customer_subject

ALGORITHM = "HS256"
AHEAD_SECONDS = 3600
#: Between the clocks of two servers.
LEEWAY_SECONDS = 30
SUBJECT = re.compile("[!-~]{1,64}")
NAME_LENGTH = 80


def customer_of(token: str, site: Site, secret: str) -> Principal:
    """The customer of a JWT. Raises Refused, with what is wrong in words for the developer of the host's page."""
    claims = _claims(token, site, secret)
    subject = claims["sub"]
    if not SUBJECT.fullmatch(subject):
        raise _refused("sub must be 1 to 64 characters of ASCII, without spaces")
    if int(claims["exp"]) > time.time() + AHEAD_SECONDS + LEEWAY_SECONDS:
        raise _refused("exp must be at most an hour ahead")
    return Principal("customer", customer_subject(site.key, subject), site.key, _name(claims), _language(claims))


def _claims(token: str, site: Site, secret: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=site.audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "aud", "sub"]},
        )
    except jwt.ExpiredSignatureError:
        raise _refused("it has expired") from None
    except jwt.MissingRequiredClaimError as error:
        raise _refused(f"{error.claim} is missing") from None
    except jwt.InvalidAudienceError:
        raise _refused(f'aud must be "{site.audience}"') from None
    except jwt.InvalidSignatureError:
        raise _refused("it was not signed with this site's secret") from None
    except jwt.ImmatureSignatureError:
        raise _refused("it is of the future: compare the clocks") from None
    except jwt.exceptions.InvalidSubjectError:
        raise _refused("sub must be a text") from None
    # What is signed may still be odd: a number that is none, a claim of another kind.
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError):
        raise _refused(f"it is no JWT that is signed with {ALGORITHM}") from None
    return claims


def _name(claims: dict[str, Any]) -> str | None:
    """What operators read. Characters that don't show, and those that turn the text around, are left out."""
    name = claims.get("name")
    if not isinstance(name, str):
        return None
    shown = "".join(c for c in name[: 4 * NAME_LENGTH] if c.isprintable() or c.isspace())
    return " ".join(shown.split())[:NAME_LENGTH].strip() or None


def _language(claims: dict[str, Any]) -> str | None:
    """`de` of `de`, `de-AT` and `de_AT`; none when it is something else."""
    language = claims.get("language")
    if not isinstance(language, str) or not re.fullmatch(LANGUAGE, language.replace("_", "-")):
        return None
    return re.split("[-_]", language)[0]


def _refused(reason: str) -> Refused:
    said = Sentence("The identity can't be used: {reason}.", reason=reason)
    return Refused("identity_refused", said, status=401, field="identity")
