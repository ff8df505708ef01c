"""axe-core's opinion of a page and of the frame in it, shadow roots included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Frame, Page

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async () => {
  const found = await axe.run(document, { iframes: false, resultTypes: ["violations"] });
  return found.violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id} (${help}): ${node.target.flat().join(" ")} ${node.html.slice(0, 150)}`));
}"""


async def violations(page: Page) -> list[str]:
    """Of all rules that axe-core has, in all frames."""
    found: list[str] = []
    for frame in page.frames:
        found += await _of(frame)
    return found


async def _of(frame: Frame) -> Any:
    if not await frame.evaluate("() => 'axe' in window"):
        await frame.evaluate(AXE.read_text(encoding="utf-8"))
    return await frame.evaluate(RUN)
