"""The README's Python runs as it stands (fewer images and epochs), and its files exist."""

import re
from functools import partial
from pathlib import Path

import torch

import qdescent as qd

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ten_lines_of_python_run(capsys, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(code.strip().splitlines()) <= 12
    for full, small in (
        ("epochs=4", "epochs=1"),
        ("[:512]", "[:32]"),
        ("steps=64", "steps=8"),
        ("steps=20, learning", "steps=2, learning"),
    ):
        assert full in code
        code = code.replace(full, small)
    small_network = partial(qd.networks.fashion_cnn, widths=(2, 4, 8), hidden=8)
    monkeypatch.setattr(qd.networks, "fashion_cnn", small_network)
    exec(compile(code, "README.md", "exec"), {})
    verdict, numbers = capsys.readouterr().out.splitlines()
    assert "modes" in verdict
    assert "last term" in numbers


def test_links_lead_to_files():
    headings = {
        f"#{title.lower().replace(' ', '-')}"
        for title in re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", TEXT):
        assert target in headings or (ROOT / target).exists(), target


def test_every_public_name_exists_and_has_a_docstring():
    for name in set(qd.__all__) - {"MASKS"}:  # data, with its words below it
        assert getattr(qd, name).__doc__, name
    assert torch.is_tensor(qd.read_out(torch.ones(2), shots=10).vector)
