"""A release: the version comes from the tag, and the wheel works where nothing else is."""

import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import qdescent as qd
from qdescent.cli import app

ROOT = Path(__file__).parent.parent


def run(*command: object, cwd: Path, timeout: float = 900) -> str:
    """The command's standard output; its errors where it fails. No path of ours reaches it."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_version_is_the_installed_one():
    assert qd.__version__ == version("qdescent")
    assert re.match(r"\d+\.\d+", qd.__version__)


def test_a_checkout_that_is_not_installed_can_be_imported():
    """As tools/device_check.sh does where nothing can be installed."""
    hidden = (
        "from importlib import metadata\n"
        "there = metadata.version\n"
        "def version(name):\n"
        "    if name == 'qdescent':\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return there(name)\n"
        "metadata.version = version\n"
        "import qdescent\n"
        "from qdescent.report.record import installed_versions\n"
        "print(qdescent.__version__, installed_versions()['qdescent'])\n"
    )
    run = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert run.stdout == "0+checkout not installed\n", run.stderr
    assert not re.search(r"^version\s*=", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


def test_the_changelog_has_a_heading_for_each_version_and_the_newest_is_first():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *versions = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert first == "Unreleased"
    numbers = [tuple(int(part) for part in each.split(".")) for each in versions]
    assert numbers
    assert numbers == sorted(set(numbers), reverse=True)


def unspoken(text: str) -> list[str]:
    """The public names, criteria and subcommands that the text does not name."""
    wanted = [*qd.__all__, *qd.MASKS, *app.commands]
    return [name for name in wanted if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)]


@pytest.mark.slow  # before a release, not before a merge: who merges writes the change log
def test_the_changelog_speaks_of_every_name():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert unspoken(text) == []
    assert unspoken(text.replace("SurfaceCode", "")) == ["SurfaceCode"]  # planted


def sources(folder: Path) -> Path:
    """The files that git knows, without git: what a downloaded archive holds."""
    listed = run("git", "ls-files", cwd=ROOT).splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def git(folder: Path, *words: str) -> None:
    run("git", "-c", "user.name=n", "-c", "user.email=n@example.org", *words, cwd=folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_wheel_installs_in_a_clean_environment_and_runs(tmp_path):
    """Built without git (fallback), without a tag, and with one; the last is installed and runs the
    main job.
    """
    copy = sources(tmp_path / "copy")
    build = (sys.executable, "-m", "build", "--wheel", "--outdir")
    run(*build, tmp_path / "bare", ".", cwd=copy)
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    git(copy, "commit", "--quiet", "--message", "all")
    run(*build, tmp_path / "untagged", ".", cwd=copy)
    git(copy, "tag", "v7.8.9")
    run(*build, tmp_path / "tagged", ".", cwd=copy)
    wheels = {
        name: next((tmp_path / name).glob("*.whl")) for name in ("bare", "untagged", "tagged")
    }
    assert wheels["bare"].name.startswith("qdescent-0.1.0.dev0-")
    assert re.match(r"qdescent-0\.\d+(\.\d+)?\.dev\d+-", wheels["untagged"].name)
    assert wheels["tagged"].name == "qdescent-7.8.9-py3-none-any.whl"

    wheel = wheels["tagged"]
    assert wheel.stat().st_size < 5 * 2**20
    names = zipfile.ZipFile(wheel).namelist()
    assert all(name.startswith(("qdescent/", "qdescent-7.8.9.dist-info/")) for name in names)
    assert not any(re.search(r"(^|/)(tests/|test_|conftest)|_test\.py$", name) for name in names)
    assert {"qdescent/py.typed", "qdescent/__main__.py"} <= set(names)

    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    programs = tmp_path / "venv" / "bin"
    pip = (programs / "python", "-m", "pip", "install", "--quiet", "--no-compile")
    run(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[images]", cwd=tmp_path)
    assert (
        run(programs / "python", "-c", "import qdescent; print(qdescent.__version__)", cwd=tmp_path)
        == "7.8.9\n"
    )
    small = (
        "--epochs",
        1,
        "--rounds",
        1,
        "--segment",
        2,
        "--train-images",
        500,
        "--batch",
        64,
        "--width",
        4,
    )
    said = run(
        programs / "qdescent",
        "run",
        *small,
        "--lanczos-steps",
        8,
        "--out",
        tmp_path / "run",
        cwd=tmp_path,
    )
    assert "report.html" in said
    assert (tmp_path / "run" / "report.html").stat().st_size > 10**5
