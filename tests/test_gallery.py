"""Each script of the gallery runs, shows a figure and says what it found; its page holds that."""

import ast
import re
from functools import cache
from pathlib import Path

import gallery
import pytest

SLOW = {
    "transformer_spectrum",
    "pruning_dissipation",
    "hybrid_training",
    "hybrid_resnet",
    "pennylane_citizen",
}
SCRIPTS = [
    pytest.param(script, marks=pytest.mark.slow if script.stem in SLOW else (), id=script.stem)
    for script in gallery.scripts()
]


@cache
def result_of(script):
    """What `make docs` kept of it as it stands, or a run."""
    return gallery.kept(script) or gallery.run(script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_runs_and_says_what_it_found(script):
    result = result_of(script)
    assert result["text"].strip()
    assert result["figures"]
    for figure in result["figures"]:
        said, shown = gallery.finding(figure)
        assert re.search(r"\d", said), "a finding is a number, not a topic"
        assert re.match(r"(Measured|Computed|Emulated|Exact|Modelled)\b.*: ", shown), (
            "the caption says how it is known"
        )
        assert all(trace.get("x") or trace.get("y") for trace in figure["data"])
        assert "nan" not in said.lower()


def test_at_least_eight_questions_each_numbered_once():
    numbers = [int(gallery.head(script)[0].partition(".")[0]) for script in gallery.scripts()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 8
    for script in gallery.scripts():
        question, rest = gallery.head(script)
        assert question.endswith("?")
        assert rest
        assert len(script.read_text(encoding="utf-8").splitlines()) < 110  # of 100 characters


def test_a_network_of_ones_own_in_ten_lines():
    script = gallery.SCRIPTS / "own_network.py"
    losses, masked = (
        [float(word) for word in line.split() if word[0].isdigit()]
        for line in result_of(script)["text"].splitlines()
        if line.startswith(("loss", "masked"))
    )
    assert losses[1] < losses[0] - 0.2
    assert abs(losses[1] - masked[0]) < 0.02
    text = script.read_text(encoding="utf-8")
    assert len(text[text.index("network = nn") : text.index("print(")].splitlines()) <= 10


def test_a_page_holds_question_finding_figure_code_and_output():
    figure = {
        "data": [{"y": [1]}],
        "layout": {"title": {"text": "It is 3", "subtitle": {"text": "Computed: once"}}},
    }
    found = {
        script.stem: {"text": "printed\n", "figures": [figure]} for script in gallery.scripts()
    }
    made = gallery.pages(found)
    title, page = made["gallery/ledger.md"]
    assert title == "What decides the price of a round?"
    for part in (
        "**It is 3.**",
        'id="ledger-0"',
        "Computed: once.",
        "ledger = qd.price(",
        "printed",
        "figures.js",
    ):
        assert part in page
    assert '"It is 3"' in made["assets/figures/ledger.js"][1]
    assert "(ledger.md)" in made["gallery/index.md"][1]


def test_a_script_that_fails_ends_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "SCRIPTS", tmp_path)
    monkeypatch.setattr(gallery, "CACHE", tmp_path / "cache")
    (tmp_path / "bad.py").write_text(
        '"""1. Does it?\n\nNo.\n"""\n\nraise ValueError("not today")\n'
    )
    with pytest.raises(ValueError, match="not today"):
        gallery.results()
    (tmp_path / "bad.py").write_text('"""1. Does it?\n\nYes.\n"""\n\nprint("run")\n')
    assert gallery.results()["bad"] == {"text": "run\n", "figures": []}
    (kept,) = (tmp_path / "cache").glob("bad-*.json")
    kept.write_text('{"text": "kept", "figures": []}')
    assert gallery.results()["bad"]["text"] == "kept"  # not run again
    assert gallery.kept(tmp_path / "bad.py")["text"] == "kept"
    (tmp_path / "bad.py").write_text('"""1. Does it?\n\nAnother.\n"""\n')
    assert gallery.kept(tmp_path / "bad.py") is None  # what was kept is of another text


def test_a_script_that_draws_without_a_seed_ends_the_build(tmp_path):
    """Its numbers would be others on each machine, and at each build."""
    script = tmp_path / "drawn.py"
    drawn = (
        '"""1. Is it?\n\nYes.\n"""\n\nimport torch\n\nprint(torch.nn.Linear(2, 2).weight[0, 0])\n'
    )
    script.write_text(drawn)
    with pytest.raises(ValueError, match="without a seed"):
        gallery.run(script)
    script.write_text(drawn.replace("print", "torch.manual_seed(0)\nprint"))
    assert gallery.run(script) == gallery.run(script)


def test_scripts_use_public_names():
    """A script is an example of use: it takes no name with an underscore out of the package."""
    for script in gallery.scripts():
        for node in ast.walk(ast.parse(Path(script).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not any(alias.name.startswith("_") for alias in node.names)
