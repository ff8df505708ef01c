"""Amounts in words: integers of the currency's minor unit, written the way the reader's language writes them.

Follows what browsers' Intl.NumberFormat writes, so that a card in the REPL and one on a page say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

NARROW, SPACE = "\u202f", "\u00a0"
RIGHT_TO_LEFT, LEFT_TO_RIGHT = "\u200f", "\u200e"

_IN_USE = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
    COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
    ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
    MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF
    SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU
    UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
#: ISO 4217.
CURRENCIES = frozenset(_IN_USE.split())
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_DIGITS = {
    **dict.fromkeys(_NO_DIGITS.split(), 0),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
}
#: Only signs that mean one currency wherever we write them.
_SIGNS = {"EUR": "€", "GBP": "£", "JPY": "¥", "USD": "$"}


@dataclass(frozen=True, slots=True)
class _Style:
    """`positive` and `negative` hold {sign} and {number}; numbers under `grouped_from` digits stay whole."""

    group: str
    point: str
    positive: str
    negative: str
    grouped_from: int = 4


_BEHIND = (f"{{number}}{SPACE}{{sign}}", f"-{{number}}{SPACE}{{sign}}")
_STYLES = {
    "en": _Style(",", ".", "{sign}{number}", "-{sign}{number}"),
    "de": _Style(".", ",", *_BEHIND),
    "es": _Style(".", ",", *_BEHIND, grouped_from=5),
    "fr": _Style(NARROW, ",", *_BEHIND),
    "ar": _Style(",", ".", f"{RIGHT_TO_LEFT}{_BEHIND[0]}", f"{RIGHT_TO_LEFT}{LEFT_TO_RIGHT}{_BEHIND[1]}"),
    "it": _Style(".", ",", *_BEHIND, grouped_from=5),
    "pt": _Style(".", ",", f"{{sign}}{SPACE}{{number}}", f"-{{sign}}{SPACE}{{number}}"),
    "nl": _Style(".", ",", f"{{sign}}{SPACE}{{number}}", f"{{sign}}{SPACE}-{{number}}"),
    "pl": _Style(SPACE, ",", *_BEHIND, grouped_from=5),
    "tr": _Style(".", ",", "{sign}{number}", "-{sign}{number}"),
}


def digits(currency: str) -> int:
    """How many digits the minor unit takes: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _DIGITS.get(currency, 2)


def amount(minor: int, currency: str, language: str = "en") -> str:
    """1234 EUR in German is "12,34 €". A language we do not know is written as English; "de-AT" as German."""
    style = _STYLES.get(language.split("-")[0].lower(), _STYLES["en"])
    pattern = style.negative if minor < 0 else style.positive
    return pattern.format(sign=_sign(currency, pattern), number=_number(abs(minor), digits(currency), style))


def _sign(currency: str, pattern: str) -> str:
    """A code of letters does not stick to the number."""
    sign = _SIGNS.get(currency, currency)
    return f"{sign}{SPACE}" if sign.isalpha() and "{sign}{number}" in pattern else sign


def _number(minor: int, places: int, style: _Style) -> str:
    whole, rest = divmod(minor, 10**places)
    grouped = f"{whole:,}".replace(",", style.group) if len(str(whole)) >= style.grouped_from else str(whole)
    return f"{grouped}{style.point}{rest:0{places}d}" if places else grouped
