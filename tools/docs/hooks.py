"""What the site has beyond the Markdown of docs/: pages from the code, formulas, links of names.

MkDocs calls these functions (https://www.mkdocs.org/user-guide/plugins/#events).
"""

from __future__ import annotations

import re
import shutil
import sys
from importlib.metadata import files as installed
from pathlib import Path

import api
import formulas
import gallery
import settings
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from plotly.offline import get_plotlyjs

ROOT = Path(__file__).parents[2]
FACE = api.FACE.read_text(encoding="utf-8")
_made: dict[str, tuple[str, str]] = {}  # path -> (title, Markdown)


def on_config(config):
    """Make the pages, and enter them in the navigation, which names their folders only."""
    if (here := str(Path(__file__).parent)) not in sys.path:
        sys.path.append(here)  # MkDocs took it away again; the gallery's processes look there
    _made.clear()
    _made.update(api.pages(FACE))
    _made.update(gallery.pages(gallery.results()))
    _made["settings.md"] = ("Settings", settings.page())
    for entry in config.nav:
        for title, target in entry.items():
            if isinstance(target, str) and target.endswith("/"):
                inside = {
                    path: name for path, (name, _) in _made.items() if path.startswith(target)
                }
                entry[title] = [{name: path} for path, name in inside.items()]
    for name in ("CHANGELOG", "CONTRIBUTING"):
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
        _made[f"{name.lower()}.md"] = (name.capitalize(), text.replace("](docs/", "]("))
    return config


def on_files(files, config):
    for path, (_, text) in _made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_content(html, page, config, files):
    return formulas.to_mathml(notes_apart(link_names(html, page.file.src_uri)))


def notes_apart(html: str) -> str:
    """Two notes in a row are two numbers; what stands between two others is no comma's business."""
    return html.replace('</sup><sup id="fnref', '</sup><sup>, </sup><sup id="fnref')


def link_names(html: str, where: str) -> str:
    """`qd.name` leads to its place in the reference; a name that is not there ends the build."""
    known = {full for names in api.documented(FACE).values() for full in names}

    def one(match: re.Match[str]) -> str:
        # a name of the package, or of one of its namespaces
        full = next((f"qdescent.{match[k]}" for k in (1, 2) if f"qdescent.{match[k]}" in known), "")
        if not full:
            raise PluginError(f"{where}: qdescent has no public name `{match[1]}`")
        return f'<autoref identifier="{full}">{match[0]}</autoref>'

    return re.sub(r"<code>qd\.((\w+)(?:\.\w+)?)[^<]*</code>(?![^<]*</a>)", one, html)


def on_post_build(config):
    """The formulas' font and the figures' script, out of the packages that bring them."""
    assets = Path(config.site_dir) / "assets"
    (font,) = (path for path in installed("ziamath") if path.name == "STIXTwoMath-Regular.ttf")
    shutil.copy(font.locate(), assets / "math.ttf")
    (assets / "plotly.js").write_text(get_plotlyjs(), encoding="utf-8")
