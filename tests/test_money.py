"""Amounts as they are written for a reader. The expected strings are what Intl.NumberFormat writes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_core.money import CURRENCIES, amount, digits


def visible(text: str) -> str:
    """No-break spaces as ~, narrow ones as ^."""
    return text.replace("\u00a0", "~").replace("\u202f", "^")


@pytest.mark.parametrize(
    ("language", "thousand", "millions", "negative", "zero"),
    [
        ("en", "€1,234.50", "€12,345,678.90", "-€2.50", "€0.00"),
        ("de", "1.234,50~€", "12.345.678,90~€", "-2,50~€", "0,00~€"),
        ("es", "1234,50~€", "12.345.678,90~€", "-2,50~€", "0,00~€"),
        ("fr", "1^234,50~€", "12^345^678,90~€", "-2,50~€", "0,00~€"),
        ("ar", "\u200f1,234.50~€", "\u200f12,345,678.90~€", "\u200f\u200e-2.50~€", "\u200f0.00~€"),
        ("it", "1234,50~€", "12.345.678,90~€", "-2,50~€", "0,00~€"),
        ("pt", "€~1.234,50", "€~12.345.678,90", "-€~2,50", "€~0,00"),
        ("nl", "€~1.234,50", "€~12.345.678,90", "€~-2,50", "€~0,00"),
        ("pl", "1234,50~€", "12~345~678,90~€", "-2,50~€", "0,00~€"),
        ("tr", "€1.234,50", "€12.345.678,90", "-€2,50", "€0,00"),
    ],
)
def test_each_language_has_its_separators_and_its_place_for_the_sign(
    language: str, thousand: str, millions: str, negative: str, zero: str
) -> None:
    written = [visible(amount(minor, "EUR", language)) for minor in (123450, 1234567890, -250, 0)]
    assert written == [thousand, millions, negative, zero]


@pytest.mark.parametrize(
    ("minor", "currency", "english", "german"),
    [
        (1234, "JPY", "¥1,234", "1.234~¥"),
        (1234, "KWD", "KWD~1.234", "1,234~KWD"),
        (5, "KWD", "KWD~0.005", "0,005~KWD"),
        (9999, "USD", "$99.99", "99,99~$"),
        (500, "CHF", "CHF~5.00", "5,00~CHF"),
        (-500, "CHF", "-CHF~5.00", "-5,00~CHF"),
        (100, "HUF", "HUF~1.00", "1,00~HUF"),
    ],
)
def test_the_minor_unit_is_the_currencys_own(minor: int, currency: str, english: str, german: str) -> None:
    assert (visible(amount(minor, currency, "en")), visible(amount(minor, currency, "de"))) == (english, german)


def test_a_regional_language_is_written_as_its_language_and_an_unknown_one_as_english() -> None:
    assert amount(123450, "EUR", "de-AT") == amount(123450, "EUR", "de")
    assert amount(123450, "EUR", "xx") == amount(123450, "EUR", "en") == amount(123450, "EUR")


@given(
    st.integers(-(10**12), 10**12),
    st.sampled_from(sorted(CURRENCIES)),
    st.sampled_from(("en", "de", "es", "fr", "ar", "it")),
)
def test_no_digit_is_ever_lost(minor: int, currency: str, language: str) -> None:
    written = amount(minor, currency, language)
    assert int(re.sub(r"\D", "", written)) == abs(minor)
    assert ("-" in written) == (minor < 0)
    assert digits(currency) in (0, 2, 3)
