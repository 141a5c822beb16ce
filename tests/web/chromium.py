"""A real browser: Debian's Chromium without a screen, driven by its own driver. Nothing is downloaded."""

import functools
import shutil
import tempfile
from contextlib import contextmanager

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip


@functools.cache
def browser_error() -> str | None:
    """Why no browser can be used, or None if one is installed."""
    if not any(shutil.which(name) for name in BROWSERS):
        return "Chromium is not installed; install it with: apt-get install chromium chromium-driver"
    return None if shutil.which("chromedriver") else "its driver is not installed; install it with: apt-get install chromium-driver"


@contextmanager
def chromium(width=1100, height=800, dark=False):
    """A browser with a fresh profile, gone afterwards."""
    from selenium import webdriver  # a second that only the browser tests need

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = next(found for name in BROWSERS if (found := shutil.which(name)))
        for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", *(["--blink-settings=preferredColorScheme=0"] if dark else [])):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def resize(driver, width, height, scale=1, *, phone=False):
    """Size of the page itself, in CSS pixels: a window cannot be made as narrow as a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
