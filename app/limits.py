"""How much one visitor, or one address, may ask for. In this process and its memory: several processes allow more.

Each allowance is a bucket that refills steadily; of a bucket only the moment is kept at which it will be full again.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent_core.door import Principal
from agent_core.errors import ParleyError, TooMany
from agent_core.settings import Settings

logger = logging.getLogger("parley.limits")

#: Buckets of each kind; the one that was asked for longest ago is forgotten, and with it what it held.
KEPT = 20_000
#: A household's, or a server's, whole range of IPv6 addresses.
IPV6_PREFIX = 64
#: Warnings of one process.
SUSPECTED = 100
LIMITED = ("visitor", "customer")
STREAM_RETRY_SECONDS = 5


class Allowance:
    """`burst` at once, and one more each `seconds / burst`."""

    def __init__(self, burst: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._each, self._clock = burst, seconds / burst, clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, count: int = 1) -> None:
        """Raises TooMany, with the time to wait."""
        now, count = self._clock(), min(count, self._burst)
        full_at = max(self._full_at.get(key, now), now) + count * self._each
        wait = full_at - now - self._burst * self._each
        if wait > self._each / 1000:  # not for what is lost in floating point
            raise TooMany(key, retry_after=wait)
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > KEPT:
            self._full_at.popitem(last=False)

    def give_back(self, key: str) -> None:
        """What was taken for nothing."""
        if key in self._full_at:
            self._full_at[key] -= self._each


class Limits:
    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._spares_loopback = settings.environment == "development"
        self._visitors = Allowance(settings.new_visitors_per_hour, 3600, clock)
        self._starts = Allowance(settings.conversations_per_hour, 3600, clock)
        self._messages = Allowance(settings.messages_per_minute, 60, clock)
        self._reads = Allowance(settings.reads_per_minute, 60, clock)
        self._streams_each, self._streams_there = settings.visitor_streams, settings.address_streams
        self._streams: Counter[str] = Counter()
        self._suspected: set[str] = set()

    def new_visitor(self, address: str | None) -> None:
        """Raises TooMany, as all of these."""
        if (place := self._place(address)) is None:
            return
        try:
            self._visitors.take(place)
        except TooMany:
            self._suspect(address, place)
            raise

    def _suspect(self, address: str | None, place: str) -> None:
        """Says once that all the world seems to come from one address of the own network."""
        if place in self._suspected or not _near(address):
            return
        if len(self._suspected) < SUSPECTED:
            self._suspected.add(place)
            logger.warning("many new visitors come from %s; if it is a proxy, name it in PARLEY_TRUSTED_PROXIES", place)

    def start(self, who: Principal) -> None:
        if who.role in LIMITED:
            self._starts.take(who.subject)

    @contextmanager
    def starting(self, who: Principal) -> Iterator[None]:
        """A start that is refused is none: a client that tries again would use up all that it has."""
        self.start(who)
        try:
            yield
        except ParleyError:
            self._starts.give_back(who.subject)
            raise

    def say(self, who: Principal, count: int = 1) -> None:
        if who.role in LIMITED and count:
            self._messages.take(who.subject, count)

    def read(self, who: Principal) -> None:
        """Of what was said: it takes time as the conversation is long."""
        if who.role in LIMITED:
            self._reads.take(who.subject)

    def admit_stream(self, who: Principal, address: str | None) -> None:
        for name, most in self._seats(who, address):
            if self._streams[name] >= most:
                raise TooMany(name, retry_after=STREAM_RETRY_SECONDS)

    @contextmanager
    def streaming(self, who: Principal, address: str | None) -> Iterator[None]:
        """Counts it while it is open."""
        self.admit_stream(who, address)
        names = [name for name, _ in self._seats(who, address)]
        self._streams.update(names)
        try:
            yield
        finally:
            self._streams.subtract(names)
            for name in names:
                if not self._streams[name]:
                    del self._streams[name]

    def _seats(self, who: Principal, address: str | None) -> list[tuple[str, int]]:
        if who.role not in LIMITED:
            return []
        place = self._place(address)
        there = [(f"at {place}", self._streams_there)] if place is not None else []
        return [(who.subject, self._streams_each), *there]

    def _place(self, address: str | None) -> str | None:
        """What counts as one address; None for those that have no limit."""
        if address is None:
            return "nowhere"  # a socket that is a file: all of it is one proxy
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return "nowhere"
        if ip.version == 6:
            if ip.ipv4_mapped is None:
                return None if ip.is_loopback and self._spares_loopback else _network(ip)
            ip = ip.ipv4_mapped
        return None if ip.is_loopback and self._spares_loopback else str(ip)


def _network(ip: ipaddress.IPv6Address) -> str:
    return str(ipaddress.ip_network((ip, IPV6_PREFIX), strict=False))


def _near(address: str | None) -> bool:
    try:
        return address is None or ipaddress.ip_address(address).is_private
    except ValueError:
        return True
