"""What the figures of best against best say of the rows: what is out of reach, what does nothing,
and which colour is whose.
"""

from dataclasses import replace

import pytest

from qdescent._evidence import Evidence, Row
from qdescent.report.pages.cost_figures import circuit_panel, ledger_panel
from qdescent.report.pages.estimate.estimate_page import write_card_figure
from qdescent.report.pages.page import write_report
from qdescent.report.pages.region.region_figures import map_panel, tornado_panel, ways_panel
from qdescent.rows.collection import Rows


def of(name, value, unit="1"):
    return Row(f"ledger/{name}", value, unit, Evidence.MODELLED, "made for a test")


def with_rows(record, *rows):
    given = {row.name for row in rows}
    return replace(record, rows=Rows([*(r for r in record.rows if r.name not in given), *rows]))


@pytest.fixture
def priced(record):
    return with_rows(
        record,
        of("verdict/ratio", 1e6),
        of("classical/time", 2.0, "s"),
        of("verdict/free_quantum_ratio", 3.0),
        of("ways/low_su/time", 5e6, "s"),
        of("ways/fast_forward/time", 2e6, "s"),
        of("region/tornado/kappa", [1e6, 1e6]),
        of("region/tornado/steps", [1e5, 1e9]),
        of("region/tornado/error_rate", [1e5, float("inf")]),
    )


def test_an_input_that_leaves_the_machines_reach_is_named(priced):
    panel = tornado_panel(priced)
    assert "not drawn: physical error rate at ten times." in panel.caption
    assert panel.title.endswith("within reach is: steps a round T")
    assert "changes nothing: condition number kappa." in panel.caption
    drawn = tornado_panel(with_rows(priced, of("region/tornado/error_rate", [1e5, 1e7])))
    assert "not drawn" not in drawn.caption
    assert drawn.title.endswith("factor of ten is: steps a round T")
    # it may be the tenth, too
    low = tornado_panel(with_rows(priced, of("region/tornado/error_rate", [float("inf"), 1e7])))
    assert "physical error rate at a tenth" in low.caption


def test_one_colour_for_each_side_of_both_figures(priced):
    both = [panel(priced).plot.data[0] for panel in (ledger_panel, ways_panel)]
    sides = []
    for bars in both:
        colours = dict(zip((label.split("<")[0] for label in bars.y), bars.marker.color,
                           strict=True))  # fmt: skip
        classical = next(colour for label, colour in colours.items() if "classical" in label)
        quantum = next(colour for label, colour in colours.items()
                       if label in ("whole quantum round", "fast-forward"))  # fmt: skip
        sides.append((classical, quantum))
    assert sides[0] == sides[1]
    assert len(set(sides[0])) == 2


def test_tables_of_a_free_computer_are_times_or_a_share(priced):
    assert ways_panel(priced).title.endswith("its tables alone would take 3 times as long")
    less = with_rows(priced, of("verdict/free_quantum_ratio", 0.25))
    assert ways_panel(less).title.replace("\u202f", " ").endswith("would take 25 % of it")
    assert "The best of 2 quantum ways, fast-forward," in ways_panel(priced).title


def mapped(record, ratios):
    at = "region/map/kappa_epsilon/"
    return with_rows(record, of(f"{at}x", [1.0, 10.0, 100.0]), of(f"{at}y", [0.1, 0.2]),
                     of(f"{at}ratio", ratios))  # fmt: skip


def test_a_map_says_what_changes_nothing_and_what_its_marks_are(record):
    flat = map_panel(mapped(record, [5.0, 5.0, 5.0, 9.0, 9.0, 9.0]), "kappa", "epsilon")
    assert "Few places change with: condition number kappa." in flat.caption
    assert "Circles" not in flat.caption
    moved = map_panel(mapped(record, [5.0, 6.0, 7.0, 9.0, 10.0, 11.0]), "kappa", "epsilon",
                      (("this", 10.0, 0.1),))  # fmt: skip
    assert "Few places" not in moved.caption
    assert "Circles: this round, and networks whose rows were measured" in moved.caption


def test_the_account_closes_and_the_circuit_says_how_small_it_is(record, tmp_path):
    """Seconds of a run x runs x copies, each in a line of its own."""
    more = with_rows(
        record, of("verdict/way", "fast_forward", ""), of("ways/fast_forward/runs", 7, "runs"),
        Row("circuit/learning_rate", 3.0, "1", Evidence.ASSUMED, "setting"),
    )  # fmt: skip
    page = write_report(more, tmp_path / "report.html").read_text()
    short = page[page.index("The account in short") :].split("</table>")[0]
    for name in ("ways · fast forward · runs", "verdict · free readout time", "solve time"):
        assert name in short, name
    said = circuit_panel(more).caption
    n, steps = (record.rows.number(f"circuit/{name}") for name in ("n", "steps"))
    assert said.startswith(f"Of {n} weights only, {steps} steps at a learning rate of 3")


def test_a_card_alone_names_its_assumptions(record, tmp_path):
    card = with_rows(
        mapped(record, [5.0, 6.0, 7.0, 9.0, 10.0, 11.0]),
        of("left_out/1", "Nobody counted the tea.", ""), of("logical/sparsity", 10),
    )  # fmt: skip
    path = write_card_figure(card, tmp_path / "card.html", "kappa", "epsilon", ())
    text = path.read_text()
    assert "Nobody counted the tea." in text
    assert "Inputs, and how each is known" in text
    assert "logical · sparsity" in text
