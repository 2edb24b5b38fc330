"""The page: titles that follow the rows, one file that asks nothing of the network, and grace where
rows are absent.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from dataclasses import replace
from html import escape

import pytest

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.report.pages import cost_figures, figures
from qdescent.report.pages.loop import loop_drawing
from qdescent.report.pages.page import taken_for_granted, write_report
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.verdict.others import left_out_rows
from qdescent.rows import names
from qdescent.rows.collection import Rows

PANELS = [
    value
    for file in (figures, cost_figures)
    for name, value in vars(file).items()
    if name.endswith("_panel")
]
BROWSER = (
    shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
)


def with_value(record, name, value):
    return replace(
        record,
        rows=tuple(replace(row, value=value) if row.name == name else row for row in record.rows),
    )


def without(record, *prefixes):
    return replace(
        record, rows=tuple(row for row in record.rows if not row.name.startswith(prefixes))
    )


def report_text(record, tmp_path):
    """The page without its plotting script."""
    page = write_report(record, tmp_path / "report.html").read_text(encoding="utf-8")
    head, _, rest = page.partition("<script>")
    return head + rest.partition("</script>")[2]


def test_every_title_is_computed_from_the_rows(record):
    def title(panel, **values):
        changed = record
        for name, value in values.items():
            changed = with_value(changed, name.replace("__", "/"), value)
        return panel(changed).title.replace("\u202f", " ")

    accuracy = title(
        figures.accuracy_panel,
        classical__test_accuracy=(0.7, 0.824),
        emulated__test_accuracy=(0.7, 0.821),
        emulated__step=(0, 20),
    )
    assert (
        accuracy
        == "The emulated quantum run ends 0.3 points below the classical one (82.1 % and 82.4 %)"
    )
    assert "0.5 points above" in title(
        figures.accuracy_panel,
        classical__test_accuracy=(0.7, 0.82),
        emulated__test_accuracy=(0.7, 0.825),
    )
    assert "ends level with" in title(
        figures.accuracy_panel,
        classical__test_accuracy=(0.7, 0.82),
        emulated__test_accuracy=(0.7, 0.82),
    )
    expected = (0.0515,) * 5
    for measured, finding in (
        ((0.051, 0.05, 0.052, 0.05, 0.051), "5.2 % at most (5.1 % is to be expected)"),
        ((1.41,) * 5, "The readout is biased: its error is 27 times what"),  # signs lost
        ((0.9,) * 5, "biased: its error is 17 times"),  # entries chosen by another vector
    ):
        assert finding in title(
            cost_figures.readout_panel,
            readout__error_by_round=measured,
            readout__expected_error_by_round=expected,
        )
    assert (
        title(figures.loss_panel, classical__loss=(1.0, 0.5), emulated__loss=(1.0, 0.51))
        == "From 1, the loss falls to 0.5 classically and to 0.51 emulated"
    )
    assert "falls" not in title(
        figures.loss_panel, classical__loss=(1.0, 0.5), emulated__loss=(1.0, 9.0)
    )
    assert (
        title(figures.truncation_panel, truncation__by_round=(0.001, 0.0042, 0.002))
        == "Linearising costs at most 0.42 % in a round (round 2 of 3), within the goal of 1 %"
    )
    assert "misses the goal of 1 %" in title(
        figures.truncation_panel, truncation__by_round=(0.001, 0.03)
    )
    near = title(figures.truncation_panel, truncation__by_round=(0.001, 0.01004))
    assert "at most 1.004 % in a round" in near
    given = replace(record, config={**record.config, "tolerance": 0.05})
    given = with_value(given, "truncation/by_round", (0.001, 0.03, 0.02))
    assert "within the tolerance of 5 %" in figures.truncation_panel(given).title
    assert (
        title(
            cost_figures.ledger_panel,
            ledger__classical__time=2.0,
            ledger__verdict__quantum_time=7.2e6,
        )
        == "A quantum round takes 3.6 × 10⁶ times as long as the classical one: 83 days against 2 s"
    )
    assert "50 % of the time of" in title(
        cost_figures.ledger_panel, ledger__classical__time=2.0, ledger__verdict__quantum_time=1.0
    )
    assert "0.021 % from the direct solution" in title(
        cost_figures.circuit_panel, circuit__error_to_direct=2.1e-4
    )


@pytest.mark.parametrize(
    ("panel", "absent"),
    [
        (figures.accuracy_panel, "data/test_images"),
        (figures.accuracy_panel, "dense/test_accuracy"),
        (figures.spectrum_panel, "setting/learning_rate"),
        (figures.shares_panel, "dissipation/after/verdict"),
        (figures.shares_panel, "dissipation/after/growth"),
        (cost_figures.circuit_panel, "circuit/order_1_error"),
    ],
)
def test_a_sentence_goes_with_its_row_and_the_figure_stays(record, panel, absent):
    poorer = without(record, absent)
    assert panel(poorer).title == panel(without(record, "nothing")).title.split("; order 1")[0]
    if absent == "data/test_images":
        assert "of the test images" in panel(record).caption
        assert "of the test images" not in panel(poorer).caption


@pytest.mark.parametrize("unit", ["1", "%"])
def test_shares_read_the_same_in_both_units(record, unit):
    scale = 100 if unit == "%" else 1
    rows = tuple(
        (
            replace(row, value=scale * row.value, unit=unit)
            if re.match(r"dissipation/\w+/(d|n)", row.name)
            else row
        )
        for row in record.rows
    )
    title = figures.shares_panel(replace(record, rows=rows)).title.replace("\u202f", " ")
    assert title.startswith("At the start 20 % to 82 % of the modes are divergent")


def test_the_smoothed_spectrum_keeps_its_mass(record):
    for trace in figures.spectrum_panel(record).plot.data[:2]:
        x, y = trace.x, trace.y
        assert sum(y) * (x[1] - x[0]) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_every_panel_has_axes_a_caption_and_sources(record, panel):
    drawn = panel(record)
    assert len(drawn.rows) >= 3 or panel is figures.loss_panel
    assert drawn.title
    assert drawn.caption.endswith(".")
    titles = {drawn.plot.layout.xaxis.title.text, drawn.plot.layout.yaxis.title.text}
    assert titles - {"", None}


def test_the_page_is_one_file_that_names_nothing_outside(record, tmp_path):
    path = write_report(record, tmp_path / "report.html")
    text = report_text(record, tmp_path)
    assert path.stat().st_size < 6_000_000
    assert len(list(tmp_path.iterdir())) == 1
    assert not re.findall(
        r"""(?:src|srcset)\s*=|@import|url\((?!#)|<link(?! rel="icon" href="data:,")""", text
    )
    assert not re.findall(r"https?://", text)
    assert "default-src 'none'" in text
    assert "showSendToCloud: false" in text
    for evidence in Evidence:
        assert f'<span class="badge {evidence}">{evidence}</span>' in text


def test_the_page_shows_every_row(record, tmp_path):
    text = report_text(record, tmp_path)
    assert all(f"<code>{row.name}</code>" in text for row in record.rows)
    assert "the quantum round takes 2.6 × 10⁵ years on 1.9 × 10⁶ physical qubits" in text
    assert "The account in short" in text


def test_what_a_price_takes_for_granted_stands_on_both_pages(record, tmp_path):
    """The ledger's own sentences, once each; without a ledger there is no list."""
    spec = RoundSpec(
        n=100, parameters=1000, order=1, steps=9, padding=0, kappa=20.0, sparsity=5, batch=5,
        forward_macs=1000,
    )  # fmt: skip
    said = left_out_rows(spec)
    assert len(said) >= 10
    rows = Rows([*record.rows, *Rows(said).under("ledger/")])
    run = write_report(replace(record, rows=rows), tmp_path / "report.html").read_text()
    shown = taken_for_granted(replace(record, rows=rows))
    assert shown in run
    for row in said:
        assert escape(row.value) in shown
    assert "takes for granted" not in write_report(record, tmp_path / "none.html").read_text()


def test_an_absent_part_is_left_out_with_a_sentence(record, tmp_path):
    text = report_text(without(record, "circuit/"), tmp_path)
    assert "This section is left out: the run has no row <code>circuit/answer</code>." in text
    assert 'id="circuit_panel"' not in text
    text = report_text(without(record, "readout/"), tmp_path)
    assert (
        "This figure is left out: the run has no row <code>readout/error_by_round</code>." in text
    )
    assert 'id="truncation_panel"' in text


def test_a_page_of_no_rows_is_still_a_page(record, tmp_path):
    text = report_text(replace(record, rows=(), timings={}), tmp_path)
    assert text.count("This section is left out") == 5
    assert json.loads(re.search(r'id="plots">(.*?)</script>', text).group(1)) == {}


def test_hostile_texts_stay_texts(record, tmp_path):
    attack = '</script><img src=x onerror="alert(1)">{{plots}}'
    rows = (*record.rows, Row("a/" + attack, attack, attack, Evidence.ASSUMED, attack))
    rows = tuple(
        replace(row, source=attack, value=attack if isinstance(row.value, str) else row.value)
        for row in rows
    )
    text = report_text(replace(record, name=attack, config={attack: attack}, rows=rows), tmp_path)
    assert "<img" not in text
    assert text.count("</script>") == 2  # the plots and the page's own


def test_what_is_not_finite_is_a_gap_and_a_word(record, tmp_path):
    broken = with_value(record, "emulated/loss", (1.0, float("nan"), float("inf")))
    broken = with_value(broken, "ledger/verdict/quantum_time", float("inf"))
    text = report_text(broken, tmp_path)
    plots = json.loads(re.search(r'id="plots">(.*?)</script>', text).group(1))
    assert plots["loss_panel"]["data"][1]["y"] == [1.0, None, None]
    assert "infinite s" in text
    with pytest.raises(ArgumentError, match="`emulated/loss` must hold a curve, but is a text"):
        write_report(with_value(record, "emulated/loss", "a text"), tmp_path / "report.html")


@pytest.mark.skipif(
    BROWSER is None, reason="no Chromium on this machine: the page was not opened in a browser"
)
@pytest.mark.skipif(
    importlib.util.find_spec("playwright") is None, reason="playwright is not installed"
)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (420, "dark")])
def test_a_browser_draws_every_figure_without_errors_or_requests(record, tmp_path, width, scheme):
    from playwright.sync_api import sync_playwright

    path = write_report(record, tmp_path / "report.html")
    said, asked = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(60_000)  # on a busy machine
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelectorAll('.plot .main-svg').length > 0")
        drawn = page.evaluate(
            "[...document.querySelectorAll('.plot')].map(e => [e.id, e.querySelectorAll('.trace,"
            " .bars .point').length])"
        )
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        # the page follows a change of scheme
        page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
        page.click("summary:has-text('Show all')")
        page.fill("#search", "spectrum before lambda_max")
        found = page.inner_text("#found")
        shares = page.inner_text("#all tbody tr:not([hidden])")
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file://", "data:", "blob:"))] == []
    assert len(drawn) == len(PANELS)
    assert all(traces > 0 for _, traces in drawn), drawn
    assert overflow <= 0
    assert found == f"1 of {len(record.rows)} rows"
    assert "31.4" in shares


def test_the_loops_headings_stay_in_their_boxes(record):
    for steps in (5, "12 to 14", "100 to 100,000"):
        drawing = loop_drawing(with_value(record, names.SETTING_SEGMENT, steps))
        sizes = re.findall(r'font-size="(\d+)"[^>]*font-weight[^>]*>([^<]+)<', drawing)
        assert f"{steps} steps at once" in {title for _, title in sizes}
        assert max(0.58 * int(size) * len(title) for size, title in sizes) < 236
