"""Headless Chromium: pages at the widths of telephones and desks, and on paper."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)

# Reads sizes out of frames that hold the page: a headless window has a least width, a frame none.
_SCRIPT = """
const widths = %s, found = [];
const frames = widths.map(width => {
  const frame = document.createElement('iframe');
  frame.style.cssText = `width:${width}px;height:900px;border:0`;
  frame.srcdoc = document.getElementById('page').textContent;
  document.body.append(frame);
  return new Promise(done => frame.onload = () => done(frame));
});
Promise.all(frames).then(all => {
  for (const frame of all) {
    const page = frame.contentDocument, root = page.documentElement, view = frame.contentWindow;
    const inner = e => e.parentElement.closest('.scroll, svg');
    const out = [...page.body.querySelectorAll('*')]
      .filter(e => !inner(e) && e.getBoundingClientRect().right > root.clientWidth + 1)
      .map(e => e.outerHTML.slice(0, 120));
    const plots = [...page.querySelectorAll('.plot svg')].filter(e => e.clientWidth);
    const cut = plots.flatMap(svg => {
      const box = svg.getBoundingClientRect();
      return [...svg.querySelectorAll('text')].filter(t => {
        const b = t.getBoundingClientRect();
        return b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1
          || b.bottom > box.bottom + 1;
      }).map(t => t.textContent);
    });
    found.push({
      width: view.innerWidth, scroll: root.scrollWidth, client: root.clientWidth, out, cut,
      plots: plots.length, height: root.scrollHeight,
      text: Math.min(...plots.flatMap(s => [...s.querySelectorAll('text')])
        .map(t => parseFloat(view.getComputedStyle(t).fontSize)
          * t.ownerSVGElement.clientWidth / t.ownerSVGElement.viewBox.baseVal.width)),
      requests: view.performance.getEntriesByType('resource').map(r => r.name),
      scripts: page.scripts.length, title: page.title, bold: page.querySelectorAll('b').length,
    });
  }
  const result = document.createElement('output');
  result.textContent = JSON.stringify(found);
  document.body.replaceChildren(result);
});
"""


def chromium(*arguments: str | Path, profile: Path) -> str:
    """Run it without a window and without a network of its own: what it prints."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", "--no-first-run", "--hide-scrollbars",
        f"--user-data-dir={profile}", "--virtual-time-budget=5000", *map(str, arguments),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def inspect(page: str, widths: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """What a page looks like in frames of these widths, in CSS pixels.

    Returns
    -------
    of each width: "scroll" and "client" widths; elements that reach "out" of the page; labels of
    plots that are "cut" off, number of "plots" and size of their smallest "text", px; "requests"
    """
    holder = folder / "holder.html"
    holder.write_text(
        f'<meta charset="utf-8"><textarea id="page" hidden>{html.escape(page)}</textarea>'
        f"<script>{_SCRIPT % json.dumps(list(widths))}</script>"
    )
    dom = chromium("--dump-dom", holder.as_uri(), profile=folder / "profile")
    found = re.search(r"<output>(.*?)</output>", dom, re.DOTALL)
    assert found, "the page was not loaded"
    return json.loads(html.unescape(found[1]))
