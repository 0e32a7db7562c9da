"""Measures how long a slider of explore.ipynb takes to move its picture: in the kernel alone, and in a real JupyterLab.

python benchmarks/latency.py [MOVES]

Prints milliseconds, median and 95th percentile over 50 moves, for each network of the study `small`. In the browser the
time runs from the slider's event until the page has painted the new image.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
MOVED = """([slider, image, value]) => new Promise((done) => {
    const before = image.src, start = performance.now();
    new MutationObserver((_, watch) => {
        if (image.src === before) return;
        watch.disconnect();
        image.decode().then(() => requestAnimationFrame(() => setTimeout(() => done(performance.now() - start))));
    }).observe(image, { attributes: true });
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
})"""


def places(moves: int) -> np.ndarray:
    """Where the slider goes: at each move somewhere else."""
    return np.random.default_rng(0).permutation(np.linspace(-2.5, 2.5, moves + 5)).round(2)


def report(place: str, name: str, milliseconds: list[float]) -> None:
    median, late = np.percentile(milliseconds[5:], [50, 95])  # the first ones compile
    print(f"{place:8} {name:40} median {median:6.1f} ms, 95th percentile {late:6.1f} ms", flush=True)


def in_the_kernel(moves: int) -> list[str]:
    from lib import finished
    from lib.widgets.moves import Move

    runs = finished.of("small")
    for name, run in runs.items():
        move, took = Move(run.model, run.images.get("originals")), []
        for place in places(moves):
            start = time.perf_counter()
            move.sliders.value = [float(place), *move.sliders.value[1:]]
            took.append(1000 * (time.perf_counter() - start))
        report("kernel", name, took)
    return list(runs)


def in_the_browser(moves: int, names: list[str]) -> None:
    from labs import opened, run, serving, without_errors
    from playwright.sync_api import sync_playwright
    from test_lab import below, copy_of_the_repository

    folder = Path(tempfile.mkdtemp())
    copy_of_the_repository(folder)
    with serving(folder) as address, sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = opened(browser, address, "explore")
        run(page, "Run All Cells")
        without_errors(page)
        cell = below(page, "Move in latent space")
        cell.scroll_into_view_if_needed()
        for number, name in enumerate(names):
            cell.get_by_label("run").select_option(name)
            if number:  # the section is drawn anew
                page.wait_for_timeout(5000)
            image = cell.locator("img[alt='The image decoded from these latents']").element_handle()
            slider = cell.get_by_role("slider").first.element_handle()
            took = [page.evaluate(MOVED, [slider, image, float(place)]) for place in places(moves)]
            report("browser", name, took)
        browser.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    in_the_browser(count, in_the_kernel(count))
