"""What the reader chooses in a built page: runs to compare, columns and rows, two axes; and the link to all of it."""

import functools
import http.server
import json
import re
import threading
from statistics import fmean

import nbformat
import pytest
import synthetic
from scipy import stats

from lib import rounding
from lib.report import execution
from lib.report import page as report
from lib.study import plan

STUDY = """
title: Seeds
notebooks:
  vae_mnist: {defaults: {dataset: digits, epochs: 12, width: 8}, runs: [{latent_dim: [2, 3], seed: [0, 1, 2]}]}
  gan_mnist: {defaults: {dataset: digits, epochs: 12, width: 8}, runs: [{latent_dim: [2, 3]}]}
  wgan_cifar10: {defaults: {dataset: shapes, epochs: 12, width: 8}, runs: [{latent_dim: 2}]}
figures:
  - {number: 1, kind: [loss, gallery], runs: [{vae_mnist: {latent_dim: 2}}]}
  - {number: 2, kind: [jsd, gallery], runs: [{gan_mnist: {latent_dim: 2}}, {gan_mnist: {latent_dim: 3}}]}
"""
VAE, OTHER, GAN = (
    f"{name}-width8-seed0" for name in ("vae_mnist-latent_dim2", "vae_mnist-latent_dim3", "gan_mnist-latent_dim2")
)
WGAN = "wgan_cifar10-latent_dim2-width8-seed0"
SEEN = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const texts = (selector) => all(selector).map((one) => one.innerText ?? one.textContent);
  return {
    chips: texts(".chips span"), pinned: texts(".chips li:has([aria-pressed=true]) span"), table: texts(".compared tr"),
    charts: texts(".compared svg text"), epoch: texts(".compared output"),
    frames: all(".compared .film-view").map((one) => one.style.getPropertyValue("--frame")),
    boxes: all("#compare input[type=checkbox]").map((one) => one.checked),
    filter: document.querySelector("#filter").value, count: texts("#filtered"),
    runs: all("#runs-table tbody tr").filter((one) => !one.hidden).map((one) => one.cells[0].title),
    columns: all("#runs-table th").filter((one) => one.offsetWidth).map((one) => one.dataset.column),
    sorted: all("#runs-table th[aria-sort]").map((one) => [one.dataset.column, one.ariaSort]),
    axes: all("#scatter select").map((one) => one.value), points: all("#scatter g[role=button]").length,
  };
}"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    (folder / "seeds.yaml").write_text(STUDY)
    study = plan.read(str(folder / "seeds.yaml"), out=str(folder / "out"))
    synthetic.finish(study)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execution, "self_test", nbformat.v4.new_notebook)
        report.build(study)
    return study


@pytest.fixture(scope="module")
def results(study):
    return {run.name: json.loads((run.folder / "result.json").read_text()) for run in study.runs}


@pytest.fixture(scope="module")
def page_file(study):
    return (study.folder / "index.html").as_uri()


@pytest.fixture
def opened(browser, page_file):
    """A function: the page with a hash, in a tab of its own; at the end no complaint and no request was found."""
    tabs = []

    def open_(hash_="", address=page_file):
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        complaints, requests = [], []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url.partition("#")[0]))
        tabs.append((tab, complaints, requests, address))
        tab.goto(address + hash_)
        return tab

    yield open_
    for tab, complaints, requests, address in tabs:
        assert complaints == []
        assert [url for url in requests if url != address and not url.startswith("data:")] == []
        tab.close()


def seen(tab):
    return tab.evaluate(SEEN)


def link(tab):
    tab.wait_for_timeout(350)  # the address follows
    return tab.evaluate("location.hash")


def follow(tab, hash_):
    """What an open page shows once a link has been pasted into it."""
    heard = """hash => new Promise((resolve) => {
      addEventListener("hashchange", resolve, { once: true });
      location.hash = hash;
    }).then(() => true)"""
    tab.evaluate(heard, hash_)
    return seen(tab)


def rows_of(tab):
    """The table's cells by the label of their row: [(text, difference)]."""
    cells = """rows => rows.map(row => [row.cells[0].innerText, [...row.cells].slice(1).map(cell =>
      [cell.firstChild.textContent, cell.querySelector("small")?.textContent ?? ""])])"""
    return dict(tab.locator(".compared tbody tr").evaluate_all(cells))


def value(text):
    """A written number, and half a unit of its last digit."""
    digits = text.replace("−", "-").replace(",", "").removeprefix("+")
    return float(digits), 0.5001 * 10.0 ** -len(digits.partition(".")[2])


def agrees(text, wanted, slack=0.0):
    number, half = value(text)
    return abs(number - wanted) <= half + slack


# ---- the comparison ------------------------------------------------------------------------------


def test_two_to_four_are_chosen_and_removed(opened):
    tab = opened("#compare&seeds=apart")
    chips, add, button = tab.locator(".chips li"), tab.locator("#compare-add"), tab.locator("#compare-button")
    assert chips.count() == 2
    for name, count in ((GAN, 3), (WGAN, 4)):
        add.select_option(name)
        button.click()
        assert chips.count() == count
    assert "WGAN on shapes" in chips.nth(3).inner_text()
    assert button.is_disabled()
    for rest in (3, 2, 1, 0):
        chips.first.locator("button[aria-label^=Remove]").click()
        assert chips.count() == rest
    assert "a comparison needs two" in tab.locator("#compare-said").inner_text()
    assert tab.locator(".compared *").count() == 0
    assert seen(opened(link(tab)))["chips"] == []  # none is not the default


def test_differences_are_those_of_the_records(opened, results):
    tab = opened(f"#compare&runs={VAE},{OTHER},{GAN}&base={VAE}&seeds=apart")
    rows = rows_of(tab)
    labels = tab.evaluate("study.labels")
    base, others = results[VAE]["metrics"], [results[name]["metrics"] for name in (OTHER, GAN)]
    checked = 0
    for name, first in base.items():
        if not any(name in each for each in others):
            assert labels[name] not in rows
            continue
        texts = rows[labels[name]]
        assert agrees(texts[0][0], first)
        assert texts[0][1] == ""
        for (text, difference), each in zip(texts[1:], others, strict=True):
            if name not in each:
                assert (text, difference) == ("–", "")
                continue
            assert agrees(text, each[name])
            gap, share = re.fullmatch(r"(\S+) \((.+)\)", difference).groups()
            assert agrees(gap, each[name] - first, 1e-5 * abs(first))
            assert (gap[0] == "+") == (each[name] > first)
            if share.startswith("×"):
                assert agrees(share[2:], each[name] / first, 0.01)
            else:
                assert agrees(share.removesuffix(" %"), 100 * (each[name] - first) / abs(first), 0.01)
            checked += 1
    assert checked > 15


def test_without_a_baseline_there_are_no_differences_and_a_pin_sets_one(opened):
    tab = opened(f"#compare&runs={VAE},{GAN}&seeds=apart")
    assert tab.locator(".compared small").count() == 0
    pin = tab.locator(".chips button[aria-pressed]").nth(1)
    pin.click()
    assert pin.get_attribute("aria-pressed") == "true"
    count = tab.locator(".compared td:nth-child(2) small").count()
    assert count > 5
    assert tab.locator(".compared td:nth-child(3) small").count() == 0
    pin.click()
    assert tab.locator(".compared small").count() == 0


def test_only_what_differs_is_shown_unless_all_is_wanted(opened, results):
    tab = opened(f"#compare&runs={VAE},{OTHER}&seeds=apart")
    some = rows_of(tab)
    assert {"latent dimension", "test loss (nats)"} <= some.keys()
    assert not {"model", "data", "width", "batch size", "seed", "learning rate"} & some.keys()
    tab.locator("#compare-differ").uncheck()
    every = rows_of(tab)
    assert [text for text, _ in every["batch size"]] == ["128", "128"]
    assert [text for text, _ in every["model"]] == ["VAE", "VAE"]
    assert some.keys() < every.keys()
    labels, (first, second) = tab.evaluate("study.labels"), (results[name]["metrics"] for name in (VAE, OTHER))
    for name in first:
        assert (labels[name] in some) == (first[name] != second[name])
    assert not {"model", "batch size"} - rows_of(opened(f"#compare&runs={VAE},{GAN}&seeds=apart")).keys()


def test_seeds_in_a_group_are_mean_and_interval(opened, results):
    tab = opened(f"#compare&runs={VAE},{OTHER},{GAN}&base={VAE}")
    assert tab.locator(".chips span").all_inner_texts()[0].endswith("3 seeds")
    rows, labels = rows_of(tab), tab.evaluate("study.labels")
    assert "seed" not in rows
    groups = [[results[name.replace("seed0", f"seed{seed}")]["metrics"] for seed in range(3)] for name in (VAE, OTHER)]
    for name in ("test_loss", "frechet", "sharpness", "recall"):
        means = []
        for (text, _), group in zip(rows[labels[name]], groups, strict=False):
            values = [each[name] for each in group]
            low, high = stats.t.interval(0.95, 2, loc=fmean(values), scale=stats.sem(values))
            mean, half = text.split(" ± ")
            assert agrees(mean, fmean(values), 1e-5)
            assert agrees(half, (high - low) / 2, 1e-4)
            means.append(fmean(values))
        assert agrees(rows[labels[name]][1][1].partition(" ")[0], means[1] - means[0], 1e-4)
    assert "±" not in rows["Fréchet distance"][2][0]  # one seed
    tab.locator("#compare-seeds").uncheck()
    assert tab.locator(".chips span").all_inner_texts()[0].endswith("seed 0")
    assert "±" not in rows_of(tab)["Fréchet distance"][0][0]


def test_a_difference_on_which_the_classifiers_disagree_is_not_told(opened):
    said = """(means) => {
      const columns = means.map(() => ({ runs: [{}] })), found = means.map((each) => estimate(each.slice(0, 1)));
      return measured(found, means, columns, columns[0]).map((one) => [one.text, one.difference]);
    }"""
    tab = opened("#compare")
    assert tab.evaluate(said, [[9.25, 8.25, 9.5], [8.25, 8.5, 8.5]]) == [
        ["9.25 (8.25 to 9.50)", ""],
        ["8.25 (8.25 to 8.50)", "the classifiers disagree"],
    ]
    agreed = tab.evaluate(said, [[9.25, 8.25, 9.5], [8.25, 7.25, 8.5]])[1]
    assert agreed[0] == "8.25 (7.25 to 8.50)"
    assert agreed[1] == "−1 (−10.8 %)"
    assert tab.evaluate(said, [[9.25, 8.25, 9.5], [8.25]])[1] == ["8.25", agreed[1]]  # the second by one classifier
    runs = "[{ metrics: { frechet: 9 }, further: { frechet: [8, 7] } }, { metrics: { frechet: 7 }, further: {} }]"
    assert tab.evaluate(f"byClassifier({runs}, 'frechet')") == [8]
    assert tab.evaluate(f"byClassifier({runs}.slice(0, 1), 'frechet')") == [9, 8, 7]


def test_two_seeds_of_one_setting_are_one_column_or_two(opened):
    second = VAE.replace("seed0", "seed1")
    assert len(seen(opened(f"#compare&runs={VAE},{second}"))["chips"]) == 1
    apart = opened(f"#compare&runs={VAE},{second}&seeds=apart")
    assert rows_of(apart)["seed"] == [["0", ""], ["1", ""]]


def test_curves_of_one_kind_share_a_chart_and_others_have_their_own(opened):
    tab = opened(f"#compare&runs={VAE},{OTHER}&seeds=apart")
    assert tab.locator(".compared svg").count() == 1
    assert tab.locator(".compared svg .curve:not(.validation)").count() == 2
    assert tab.locator(".compared svg .validation").count() == 2
    colours = tab.locator(".compared svg .curve").evaluate_all("all => all.map(one => getComputedStyle(one).stroke)")
    assert len(set(colours)) == 2
    legend = tab.locator(".legend li").all_inner_texts()
    assert legend == [*tab.locator(".chips span").all_inner_texts(), "dashed: validation"]
    both = opened(f"#compare&runs={VAE},{GAN}")
    assert both.locator(".compared svg").count() == 2
    assert both.locator(".compared svg .edge").count() == 2  # least and most of three seeds


def test_the_curve_is_the_records(opened, study):
    tab = opened(f"#compare&runs={VAE},{OTHER}&seeds=apart")
    words = tab.locator(".compared svg").get_attribute("aria-label")
    history = next(run.folder for run in study.runs if run.name == VAE) / "history.csv"
    head, first, *_, last = [line.split(",") for line in history.read_text().split()]
    losses = [rounding.number(float(f"{float(line[head.index('loss')]):.5g}")) for line in (first, last)]
    assert f"from {losses[0]} to {losses[1]};" in words


def test_one_slider_moves_all_galleries(opened):
    tab = opened(f"#compare&runs={VAE},{GAN}&seeds=apart")
    slider, shots = tab.locator(".compared input[type=range]"), []
    assert seen(tab)["frames"] == ["2", "2"]
    for place, epoch in (("0", "1"), ("1", "4")):
        slider.fill(place)
        assert (seen(tab)["frames"], seen(tab)["epoch"]) == ([place] * 2, [epoch])
        shots.append([film.screenshot() for film in tab.locator(".compared .film-view").all()])
    assert shots[0][0] != shots[1][0]
    assert shots[0][1] != shots[1][1]
    assert seen(opened(f"#compare&runs={VAE},{GAN}&epoch=5"))["frames"] == ["1", "1"]  # the last one before it
    ids = tab.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))


def test_a_row_and_a_point_add_their_run(opened):
    tab = opened(f"#every-run&runs={VAE}&seeds=apart")
    tab.get_by_label("Compare GAN on digits, 3 latents").check()
    assert "GAN on digits, 3 latents" in tab.locator(".chips span").all_inner_texts()[1]
    tab.locator("#scatter g[role=button][aria-label^=WGAN]").click()
    assert "Fréchet distance" in tab.locator("#scatter-run").inner_text()
    assert tab.locator("#scatter-run a[href^='notebooks/wgan']").count() == 1
    tab.locator("#scatter-run button").click()
    assert len(seen(tab)["chips"]) == 3
    assert tab.get_by_label("Compare WGAN on shapes").is_checked()
    tab.get_by_label("Compare GAN on digits, 2 latents").check()
    assert tab.get_by_label("Compare VAE on digits, 3 latents").first.is_disabled()  # four are chosen
    tab.get_by_label("Compare WGAN on shapes").uncheck()
    assert len(seen(tab)["chips"]) == 3
    tab.get_by_role("link", name="Compare the 3 chosen").click()
    assert link(tab).startswith("#compare&")
    assert abs(tab.locator("#compare").bounding_box()["y"]) < 200


def test_the_keyboard_alone_is_enough(opened):
    tab = opened("#compare&seeds=apart")
    tab.locator("#compare-add").focus()
    tab.keyboard.type("WGAN")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert "WGAN on shapes" in tab.locator(".chips span").all_inner_texts()[2]
    tab.locator(".chips button[aria-pressed]").first.focus()
    tab.keyboard.press("Space")
    assert tab.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"  # the focus has stayed
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")  # removes it
    assert len(seen(tab)["chips"]) == 2
    assert tab.evaluate("document.activeElement.id") == "compare-add"
    point = tab.locator("#scatter g[role=button]").first
    point.focus()
    tab.keyboard.press("Enter")
    assert point.get_attribute("aria-label") in tab.locator("#scatter-run").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_in_what_scripts_add(opened, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    tab = opened(f"#compare&runs={VAE},{OTHER},{GAN},{WGAN},nowhere&base={GAN}")
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 844})
    tab.locator(".columns summary").click()
    tab.locator("#scatter g[role=button]").first.click()
    found = Axe().run(tab, context={"include": [["#compare"], ["#every-run"], ["#scatter"]]}).response["violations"]
    assert found == [], json.dumps([(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found])
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


# ---- the table, the axes -------------------------------------------------------------------------


def test_the_table_sorts_and_filters_and_keeps_the_wanted_columns(opened, results):
    tab = opened()
    usual = seen(tab)["columns"]
    assert {"latent_dim", "seed", "state", "test_loss", "jsd_test", "frechet", "sharpness"} <= {*usual}
    assert not {"width", "epochs", "model", "recall"} & {*usual}  # the same in all runs, or not asked for
    tab.locator("#filter").fill("gan_mnist")  # the technical name
    assert seen(tab)["count"] == ["2 of 9 runs"]
    tab.locator("#filter").fill('VAE "3 latents"')
    assert seen(tab)["runs"] == [OTHER.replace("seed0", f"seed{seed}") for seed in range(3)]
    tab.locator("#filter").fill("")
    head = tab.locator("#runs-table th[data-column=frechet] button")
    up = sorted(each["metrics"]["frechet"] for each in results.values())
    head.click()
    assert [results[name]["metrics"]["frechet"] for name in seen(tab)["runs"]] == up
    head.click()
    assert [results[name]["metrics"]["frechet"] for name in seen(tab)["runs"]] == up[::-1]
    assert seen(tab)["sorted"] == [["frechet", "descending"]]
    tab.locator("#runs-table th[data-column=test_loss] button").click()
    assert all(name.startswith("vae") for name in seen(tab)["runs"][:6])  # without the number last
    tab.locator(".columns summary").click()
    tab.get_by_role("checkbox", name="recall (share)").check()
    tab.get_by_role("checkbox", name="state").uncheck()
    assert {*seen(tab)["columns"]} == {*usual, "recall"} - {"state"}
    assert tab.locator("#runs-table td:visible").count() == 9 * len(usual)


def test_any_two_numbers_of_the_runs_that_have_both(opened):
    tab = opened("#scatter&x=latent_dim&y=jsd_fresh")
    assert seen(tab)["points"] == 2
    assert tab.locator("#scatter-note").inner_text() == "2 of 9 runs"
    marks = tab.locator("#scatter svg .tick").all_text_contents()
    assert {"2", "3"} < {*marks}
    assert "2.5" not in marks  # there is no such setting
    tab.locator("#scatter-x").select_option("test_loss")
    assert seen(tab)["points"] == 0
    assert "No run has both numbers" in tab.locator("#scatter-run").inner_text()
    tab.locator("#scatter-y").select_option("test_kl")
    assert seen(tab)["points"] == 6


# ---- the address ---------------------------------------------------------------------------------


def everything(tab):
    """Chooses something of each kind."""
    tab.locator("#compare-seeds").uncheck()
    tab.locator("#compare-differ").uncheck()
    tab.locator("#compare-add").select_option(GAN)
    tab.locator("#compare-button").click()
    tab.locator(".chips button[aria-pressed]").nth(1).click()
    tab.locator(".compared input[type=range]").fill("1")
    tab.locator("#filter").fill("digits & =#,%é ")
    tab.locator("#filter").fill("digits 8,")
    tab.locator("#runs-table th[data-column=sharpness] button").click()
    tab.locator(".columns summary").click()
    tab.get_by_role("checkbox", name="recall (share)").check()
    tab.get_by_role("checkbox", name="state").uncheck()
    tab.locator("#scatter-x").select_option("latent_dim")
    tab.locator("#scatter-y").select_option("jsd_test")


@pytest.fixture(scope="module")
def over_http(study):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=study.folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_link_shows_all_that_was_chosen_in_another_tab(opened, page_file, over_http, scheme):
    address = page_file if scheme == "file" else over_http
    tab = opened(address=address)
    before = seen(tab)
    everything(tab)
    chosen = seen(tab)
    assert [name for name in before if chosen[name] == before[name]] == []  # each has changed
    assert seen(opened(link(tab), address)) == chosen
    tab.reload()
    assert seen(tab) == chosen


def test_any_text_can_stand_in_a_link(opened):
    tab = opened()
    text = "a&b=c#d,e%f é+ü \"<'>\\ ²"
    tab.locator("#filter").fill(text)
    assert seen(opened(link(tab)))["filter"] == text
    assert seen(opened("#filter=half%"))["filter"] == "half%"  # written by hand
    assert tab.evaluate("state.unpack(state.pack(['a,b', '50%', '%2C', 'ü']))") == ["a,b", "50%", "%2C", "ü"]


def test_a_link_within_the_page_keeps_what_was_chosen(opened):
    tab = opened(f"#compare&runs={VAE},{GAN}&base={GAN}&x=latent_dim")
    chosen = seen(tab)
    tab.locator('.contents a[href="#provenance"]').click()
    assert seen(tab) == chosen
    assert link(tab).startswith("#provenance&runs=")
    assert tab.locator("#provenance").bounding_box()["y"] < 900
    assert seen(opened(link(tab))) == chosen


def test_a_link_pasted_into_the_open_page_shows_just_what_it_names(opened):
    tab = opened(
        f"#compare&runs={VAE},{OTHER}&base={OTHER}&filter=vae&sort=-frechet&x=latent_dim&columns=recall&seeds=apart"
    )
    link = f"#compare&runs={GAN},{WGAN}&sort=sharpness"
    pasted = follow(tab, link)
    assert ["GAN" in name for name in pasted["chips"]] == [True, True]
    assert pasted["sorted"] == [["sharpness", "ascending"]]
    assert pasted == seen(opened(link))  # nothing is left of what was chosen before
    assert [follow(tab, f"{link}&epoch={epoch}")["frames"] for epoch in (1, 4)] == [["0", "0"], ["1", "1"]]


def test_back_and_forward_move_and_leave_the_choice(opened):
    tab = opened(f"#compare&runs={VAE},{GAN}")
    tab.locator('.contents a[href="#provenance"]').click()
    tab.locator("#filter").fill("gan")
    tab.wait_for_timeout(400)  # until the address says where the reader is
    assert link(tab).startswith("#every-run&")
    chosen = seen(tab)
    tab.go_back()
    assert link(tab).startswith("#compare&")
    assert seen(tab) == chosen
    assert "filter=gan" in link(tab)
    tab.go_forward()
    assert link(tab).startswith("#every-run&")
    assert seen(tab) == chosen
    assert tab.evaluate("history.length") <= 4  # choices make no entries


def test_a_link_leads_to_its_place(opened):
    tab = opened(f"#scatter&runs={VAE},{GAN}")
    tab.wait_for_timeout(350)
    assert 0 <= tab.locator("#scatter").bounding_box()["y"] < 200
    assert opened().evaluate("[location.hash, scrollY]") == ["", 0]


def test_runs_that_are_not_here_are_named(opened):
    tab = opened(f"#compare&runs={VAE},nowhere,{GAN}&base=gone")
    said = tab.locator("#compare-unknown").inner_text()
    assert (
        said
        == "Not in this report, or not finished: nowhere. The baseline gone is not in this report, or not finished."
    )
    assert len(seen(tab)["chips"]) == 2
    five = opened(f"#compare&runs={VAE},{OTHER},{GAN},{WGAN},{GAN.replace('dim2', 'dim3')}")
    assert "names 5 runs; the first 4 are shown" in five.locator("#compare-unknown").inner_text()
    evil = opened(
        "#compare&runs=%3Cimg%20src%3Dx%20onerror%3Dwindow.hurt%3D1%3E&sort=nothing&x=nothing&columns=nothing"
    )
    assert "<img src=x" in evil.locator("#compare-unknown").inner_text()
    assert evil.evaluate("window.hurt") is None
    assert seen(evil)["axes"] == seen(opened())["axes"]
    assert not opened().locator("#compare-unknown").is_visible()


def test_the_address_changes_no_more_often_than_browsers_allow(opened):
    tab = opened(f"#compare&runs={VAE},{GAN}")
    count = """async () => {
      let count = 0;
      const before = history.replaceState.bind(history);
      history.replaceState = (...all) => { count += 1; before(...all); };
      for (let i = 0; i < 500; i += 1) {
        state.set("epoch", i);
        if (i % 50 === 0) await new Promise(requestAnimationFrame);
      }
      await new Promise((resolve) => setTimeout(resolve, 400));
      return [count, location.hash.includes("epoch=499")];
    }"""
    changes, last = tab.evaluate(count)
    assert last
    assert changes < 12


# ---- what the scripts have -----------------------------------------------------------------------


def test_scripts_write_numbers_as_the_rest_of_the_page_does(opened):
    tab = opened()
    values = [
        0,
        3,
        42,
        0.0942,
        1.54,
        22.8,
        104.96,
        999.4,
        999.6,
        1951.4,
        12345.6,
        -0.5,
        -12345,
        0.000123,
        4.2e-5,
        9.996,
    ]
    assert tab.evaluate("values => values.map(digits)", values) == [rounding.number(value) for value in values]
    seeds = [[1.0, 2.0], [105.2, 105.1, 104.0], [0.31, 0.32, 0.33, 0.5]]
    assert len(tab.evaluate("study.quantiles")) == 2  # for two and three seeds: no setting has more
    for group in seeds[:2]:
        found = tab.evaluate("values => estimate(values)", group)
        low, high = stats.t.interval(0.95, len(group) - 1, loc=fmean(group), scale=stats.sem(group))
        assert found["mean"] == pytest.approx(fmean(group))
        assert found["half"] == pytest.approx((high - low) / 2, rel=1e-4)


def test_what_all_runs_share_is_told_once(opened):
    found = opened().evaluate("study")
    assert found["common"]["epochs"] == 12
    assert all("epochs" not in run["settings"] and "latent_dim" in run["settings"] for run in found["runs"])
