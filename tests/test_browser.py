"""The report, the list of studies and a run's page as a reader has them: in a browser, without a network."""

import base64
import json
import re
import shutil

import nbformat
import pytest
import synthetic

from lib.report import assets, execution, html, landing
from lib.report import page as report
from lib.study import plan

EVIL = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script>"
STUDY = f"""
title: "Small {EVIL}"
notebooks:
  vae_mnist: {{defaults: {{dataset: digits, epochs: 12, width: 8}}, runs: [{{latent_dim: [2, 3]}}]}}
  gan_mnist: {{defaults: {{dataset: digits, epochs: 12, width: 8}}, runs: [{{latent_dim: [2, 3]}}]}}
  wgan_cifar10: {{defaults: {{dataset: shapes, epochs: 12, width: 8}}, runs: [{{latent_dim: 2}}]}}
figures:
  - number: 1
    section: VAE / MNIST / Original
    kind: [layers, loss, gallery, reconstructions, latent_map]
    runs: [{{vae_mnist: {{latent_dim: 2}}}}]
    caption: "As in [fig:2] {EVIL}"
  - {{number: 2, kind: [jsd, gallery], runs: [{{gan_mnist: {{latent_dim: 2}}}}, {{gan_mnist: {{latent_dim: 3}}}}]}}
  - {{number: 3, kind: [emd, gallery], runs: [{{wgan_cifar10: {{latent_dim: 2}}}}]}}
  - {{number: 4, kind: [gallery], runs: [{{gan_mnist: {{latent_dim: 2}}}}, {{gan_mnist: {{latent_dim: 3}}}}]}}
"""
OLD = f"{assets.digest(base64.b64encode(b'of an earlier page'))}.png"  # named as an image of ours


def written(folder):
    """A study of finished synthetic runs."""
    (folder / "small.yaml").write_text(STUDY)
    study = plan.read(str(folder / "small.yaml"), out=str(folder / "out"))
    synthetic.finish(study)
    return study


@pytest.fixture(scope="module", autouse=True)
def _no_self_test():
    """The estimators' self-test takes a minute and has a page of its own kind only in its numbers."""
    with pytest.MonkeyPatch.context() as patched:
        cells = [nbformat.v4.new_markdown_cell("# Can the numbers be trusted?")]
        patched.setattr(execution, "self_test", lambda: nbformat.v4.new_notebook(cells=cells))
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = written(tmp_path_factory.mktemp("browser"))
    report.build(study)
    (study.folder.parent / "index.html").write_text(landing.landing(study.folder.parent / "index.html"))
    return study


@pytest.fixture(scope="module")
def address(study):
    return (study.folder / "index.html").as_uri()


@pytest.fixture
def opened(browser):
    """A function: a page at an address, its complaints and requests kept, and at the end none of either found."""
    pages = []

    def open_(address, width=1440, allowed=(), **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.set_default_timeout(60_000)
        complaints, requests = [], []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        pages.append((page, complaints, requests, (address.partition("#")[0], *allowed)))
        page.goto(address)
        return page

    yield open_
    for page, complaints, requests, allowed in pages:
        assert complaints == []
        assert [url for url in requests if not url.startswith(("data:", *allowed))] == []
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing(opened, address, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(address, width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert found == [], json.dumps(
        [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found], indent=1
    )


def test_axe_finds_nothing_on_the_other_pages(opened, study):
    from axe_playwright_python.sync_playwright import Axe

    pages = [study.folder.parent / "index.html", *sorted((study.folder / "notebooks").glob("*.html"))[:2]]
    for path in pages:
        found = Axe().run(opened(path.as_uri())).response["violations"]
        assert found == [], json.dumps([(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found])


def test_markup_in_titles_and_captions_is_inert(opened, address, study):
    page = opened(address)
    assert page.evaluate("window.hurt") is None
    assert "onerror" in page.locator("h1").inner_text()
    assert "onerror" in page.locator("#fig-1 figcaption").inner_text()
    listed = opened((study.folder.parent / "index.html").as_uri())
    assert listed.evaluate("window.hurt") is None
    assert "onerror" in listed.locator("h2 a").inner_text()


def test_the_policy_stops_a_script_that_is_not_the_pages_own(browser, study):
    text = (study.folder / "index.html").read_text(encoding="utf-8")
    changed = study.folder / "changed.html"
    changed.write_text(text.replace("</main>", "<script>window.hurt=1</script></main>"), encoding="utf-8")
    page = browser.new_page()
    page.goto(changed.as_uri())
    assert page.evaluate("window.hurt") is None
    assert page.evaluate("document.documentElement.className") == "js ready"
    changed.unlink()
    page.close()


@pytest.mark.parametrize("width", [390, 1440])
def test_the_reader_without_scripts_sees_everything(opened, address, width):
    page = opened(address, width, java_script_enabled=False)
    assert page.locator("figure[id^=fig-]").count() == 4
    for summary in page.locator("main details summary").all():
        if summary.is_visible():  # not in what needs scripts
            summary.click()
    for image in page.locator("main img").all():
        assert image.is_visible()
        assert image.get_attribute("alt")
    assert page.locator("#runs-table tbody tr").count() == 5
    assert not page.locator("#theme").is_visible()
    assert not page.locator(".epochs").first.is_visible()
    assert page.locator("nav.contents a").first.is_visible()


def seen_frame(view):
    """Which frame of a film is in view, by where its strip of frames begins."""
    strip, window = view.locator("img").bounding_box(), view.bounding_box()
    assert abs(strip["height"] - window["height"]) < 2
    return round((window["x"] - strip["x"]) / window["width"], 2)


def test_without_scripts_and_in_print_the_last_epoch_is_seen(opened, address):
    still = opened(address, java_script_enabled=False)
    views = still.locator(".parts .film-view")
    assert views.count() == 7
    frames = [seen_frame(view) for view in views.all()]
    assert sorted(frames) == [0, 0, 2, 2, 2, 2, 2]  # the film in two figures is a strip in one, its last frame in both
    printed = opened(f"{address}#epoch=1")
    assert {seen_frame(view) for view in printed.locator(".parts .film-view").all()} == {0}
    printed.emulate_media(media="print")
    assert {seen_frame(view) for view in printed.locator(".parts .film-view").all()} == {2}


def test_one_slider_moves_all_galleries_and_the_address_keeps_the_epoch(opened, address):
    page = opened(address)
    bars, views = page.locator(".group .epochs"), page.locator(".parts .film-view")
    assert bars.count() == 3  # one for each model and dataset
    for index, epoch in enumerate(("1", "4", "12")):
        bars.nth(1).locator("input").fill(str(index))
        assert bars.locator("output").all_inner_texts() == [epoch] * 3
        assert {seen_frame(view) for view in views.all()} == {index}
        page.wait_for_timeout(500)  # the address follows at its own pace
        assert ("epoch=" in page.url) == (epoch != "12")  # the last one is what a page begins with
    bars.nth(0).locator("input").fill("1")
    page.wait_for_timeout(500)
    again = opened(page.url)
    assert again.locator(".group .epochs output").all_inner_texts() == ["4"] * 3
    assert {seen_frame(view) for view in again.locator(".parts .film-view").all()} == {1}
    between = opened(f"{address}#fig-2&epoch=11")  # no gallery has it: the nearest before
    assert between.locator(".group .epochs output").all_inner_texts() == ["4"] * 3


def test_a_film_in_two_figures_is_in_the_page_once(opened, address, study):
    text = (study.folder / "index.html").read_text(encoding="utf-8")
    assert text.count('id="film-gan-mnist-latent-dim2-width8-seed0"') == 1
    page = opened(f"{address}#epoch=4")
    first, second = (page.locator(f"#fig-{number} .film-view").first for number in (2, 4))
    assert second.locator("img").get_attribute("src") == first.locator("img").get_attribute("src")
    assert seen_frame(first) == seen_frame(second) == 1
    still = opened(address, java_script_enabled=False)
    assert still.locator("#fig-4 img").first.get_attribute("src") != first.locator("img").get_attribute("src")
    assert seen_frame(still.locator("#fig-4 .film-view").first) == 0  # its only frame is the last one


def test_folded_tables_print_open_and_open_for_a_link(opened, address):
    page = opened(address)
    tables = page.locator("main details.fold table")
    assert tables.count() > 6
    assert not any(table.is_visible() for table in tables.all())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert all(table.is_visible() for table in tables.all())
    linked = opened(f"{address}#how-to-read-the-figures-and-numbers")
    assert linked.locator("text=The Fréchet distance compares").is_visible()
    linked.locator("a", has_text="what they mean").click()
    assert linked.locator("text=The Fréchet distance compares").is_visible()


def test_contents_follow_the_reader_and_fold_on_a_phone(opened, address):
    page = opened(address)
    page.locator("#provenance").scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.locator('.contents a[aria-current][href="#provenance"]').wait_for()
    assert page.locator(".contents a[aria-current]").count() == 1
    phone = opened(address, 390)
    links = phone.locator(".contents ul").first
    assert not links.is_visible()
    phone.locator(".contents summary").click()
    assert links.is_visible()
    phone.locator('.contents a[href="#results"]').click()
    assert not links.is_visible()
    assert phone.url.endswith("#results")
    phone.evaluate("location.hash = '#any-two-numbers'")
    bar, heading = (phone.locator(one).first.bounding_box() for one in (".contents", "#any-two-numbers"))
    assert heading["y"] >= bar["y"] + bar["height"]


def test_keyboard_only(opened, address):
    page = opened(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.locator("#fig-2 .zoom").first.focus()
    page.keyboard.press("Enter")
    box = page.locator("dialog.lightbox")
    assert box.is_visible()
    first = box.locator("img").get_attribute("alt")
    page.keyboard.press("ArrowRight")
    assert box.locator("img").get_attribute("alt") != first
    page.keyboard.press("ArrowLeft")
    assert box.locator("img").get_attribute("alt") == first
    assert "Figure 2" in box.locator("p").inner_text()
    page.keyboard.press("Escape")
    assert not box.is_visible()
    assert page.evaluate("document.activeElement.closest('figure').id") == "fig-2"
    slider = page.locator(".epochs input").first
    slider.focus()
    for key, epoch in (("ArrowLeft", "4"), ("Home", "1"), ("ArrowRight", "4"), ("End", "12")):
        page.keyboard.press(key)
        assert page.locator(".epochs output").first.inner_text() == epoch


def test_a_closed_picture_does_not_take_the_focus_back(opened, address):
    stayed = """async () => {
      document.querySelector(".zoom").click();
      [...document.querySelectorAll(".lightbox button")].at(-1).click();
      const slider = document.querySelector(".epochs input");
      slider.focus();
      await new Promise((resolve) => setTimeout(resolve, 500));
      return document.activeElement === slider && !document.querySelector(".lightbox").open;
    }"""
    assert opened(address).evaluate(stayed)


def test_a_film_shows_the_epoch_that_is_chosen_and_plays(opened, address):
    from playwright.sync_api import expect

    page = opened(address)
    view, seen = page.locator(".film-view").first, []
    for epoch in range(3):
        page.locator(".epochs input").first.fill(str(epoch))
        seen.append(view.screenshot())
    assert len(set(seen)) == 3
    page.locator(".epochs button").first.click()  # from the last epoch it starts over
    for epoch in ("4", "12"):
        expect(page.locator(".epochs output").first).to_have_text(epoch, timeout=60_000)
    page.locator(".film .zoom").first.click()  # and at full size the same frame is seen
    assert seen_frame(page.locator(".lightbox .film-view")) == 2


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_cut_off(opened, study, width):
    text = (study.folder / "index.html").read_text(encoding="utf-8")
    text = re.sub(r'("data": ")[^"]+', r"\1CIFAR-10 through JPEG", text)
    text = re.sub(
        "<caption>[^<]*", "<caption>GAN on CIFAR-10 through JPEG (a lossy copy, sha256 3d1c69e3): 3 runs", text
    )
    (long := study.folder / "long.html").write_text(text, encoding="utf-8")
    page = opened(long.as_uri(), width)
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = """([inner, outer]) => [...document.querySelectorAll(inner)].filter((one) =>
      one.getBoundingClientRect().right > one.closest(outer).getBoundingClientRect().right + 1)
      .map((one) => one.textContent)"""
    assert page.locator(".scroll caption").count() > 3
    assert page.locator("main table").count() == page.locator(".scroll table").count()  # each scrolls in its own box
    for inner, outer in ((".scroll caption", ".scroll"), ("svg text", "svg"), ("main select", ".controls")):
        assert page.evaluate(beyond, [inner, outer]) == [], inner
    shade = page.locator("#runs-table").evaluate("table => getComputedStyle(table.parentElement).backgroundImage")
    assert shade.startswith("linear-gradient") == (width == 390)  # on a phone, scroll bars are not seen
    long.unlink()


def test_colours_by_system_and_by_choice(opened, address):
    page = opened(address, color_scheme="dark")

    def ground():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    dark = ground()
    page.locator("#theme").select_option("light")
    assert ground() == "rgb(255, 255, 255)" != dark
    page.reload()
    assert ground() == "rgb(255, 255, 255)"
    page.locator("#theme").select_option("")
    assert ground() == dark


def test_printed_on_a4_no_picture_is_cut(opened, address, tmp_path):
    page = opened(address, 794)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    sizes = page.evaluate(
        "[...document.querySelectorAll('main img')].filter(image => !image.closest('.needs-script'))"
        ".map(image => [(image.closest('.film-view') ?? image).getBoundingClientRect(), image.alt])"
        ".map(([box, alt]) => [box.left, box.right, box.height, alt])"
    )
    for left, right, height, alt in sizes:
        assert 0 <= left < right <= 794, alt
        assert height < 850, alt  # a page of A4 within its margins has about 1000
    text = page.pdf(format="A4", path=tmp_path / "report.pdf")
    assert text.startswith(b"%PDF")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A page with its images beside it, built from what is published of runs, over an earlier page."""
    study = written(tmp_path_factory.mktemp("published"))
    for run in study.runs:
        (run.folder / "notebook.ipynb").unlink()
        shutil.rmtree(run.folder / "model")
    (study.folder / "assets").mkdir()
    (study.folder / "assets" / OLD).write_bytes(b"of an earlier page")
    report.build(study, apart=True)
    return study.folder / "index.html"


def test_runs_published_without_their_notebooks_are_no_links(opened, published):
    page = opened(published.as_uri(), allowed=[(published.parent / "assets").as_uri()])
    page.locator("#scatter g[role=button]").first.click()
    assert page.locator("#scatter-run button").count() == 1
    assert page.locator("#scatter a:not([href^='#']), #runs-table a:not([href^='#']), a[href='']").count() == 0


def test_with_assets_the_page_is_light_and_images_are_found(opened, study, published):
    assert published.stat().st_size < (study.folder / "index.html").stat().st_size / 2
    assert not (published.parent / "assets" / OLD).exists()
    page = opened(published.as_uri(), allowed=[(published.parent / "assets").as_uri()])
    load = "image => { image.loading = 'eager'; return image.decode(); }"
    page.evaluate(
        f"Promise.all([...document.querySelectorAll('main img')].map({load})).then(() => true)"
    )  # fails where one is not found


def test_scripts_and_formulas_of_the_pages_are_small_and_understood():
    assert len(html.joined(*html.SCRIPTS)) < 60_000
    assert html.formula(r"\frac{1}{2} x_i").startswith("<math")
    for tex in (r"\text{<img/src=x/onerror=alert(1)>}", r"\href{javascript:alert(1)}{x}", r"\style{x}{y}", ""):
        assert not re.search(r"<img|href=|style=", html.formula(tex))
