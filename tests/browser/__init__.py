"""The widget in a real browser: Debian's Chromium without a screen, a real server, and a host's page of another origin."""

import pytest

#: One browser serves all tests of a worker, so they share its event loop.
in_browser = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]
