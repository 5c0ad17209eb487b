"""A page on paper: PDF by a Chromium that is on this machine; nothing is sent anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from migrate.durable import atomic_file
from migrate.errors import Unreachable, UsageError

_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
_MAC = ("Google Chrome", "Chromium", "Microsoft Edge")
_LONGEST = 180  # seconds
_FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-pdf-header-footer",
)  # fmt: skip


def find_chromium() -> str | None:
    """MIGRATE_CHROMIUM, or a browser of that family on PATH (macOS: among the applications)."""
    given = os.environ.get("MIGRATE_CHROMIUM")
    if given:
        return shutil.which(given)
    apps = [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in _MAC]
    return next((found for name in (*_NAMES, *apps) if (found := shutil.which(name))), None)


def write_pdf(page: Path, to: Path) -> Path:
    """`page` printed into the file `to`, wholly or not at all (0600).

    Raises UsageError where there is no Chromium or the place cannot be written, Unreachable where it does not print."""
    browser = find_chromium()
    if browser is None:
        raise UsageError(
            "a PDF needs a Chromium, and none is found here",
            kept=f"The report itself is there: {page}",
            hint="Install chromium, or name one in MIGRATE_CHROMIUM; or open the page in any browser and print it.",
        )
    if not to.parent.is_dir():
        raise UsageError("the PDF cannot be written there: there is no such folder", where=str(to.parent))
    with (
        tempfile.TemporaryDirectory(prefix="migrate-pdf-") as profile,
        atomic_file(to, point="report.pdf") as temporary,
    ):
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [
            browser, *_FLAGS, *sandbox, f"--user-data-dir={profile}", f"--print-to-pdf={temporary.absolute()}",
            page.absolute().as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=_LONGEST, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable("the browser did not print the report", where=browser) from error
        if done.returncode or not temporary.is_file() or not temporary.stat().st_size:
            raise Unreachable(
                "the browser did not print the report",
                where=browser,
                hint=f"Open {page} in a browser and print it.",
            )
    return to
