"""The wheel, installed in an empty environment, works from any folder: it brings its own personas and pipelines."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), "."]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a fresh environment that holds the wheel and what it depends on."""
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=300)
    command = [str(venv / "bin/python"), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return venv / "bin"


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    home = folder / "home"
    places = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("DATA", "CONFIG", "STATE")}
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **places}
    command = [str(installed / "tertulia"), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def files(folder: str) -> set[str]:
    """Every file below a folder of the repository, as paths from its root."""
    found = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_what_it_needs_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    data = {f"engine/shipped/{name}" for folder in ("personas", "pipelines", "config") for name in files(folder)}
    assert data | files("engine") | files("tui") <= set(names)
    assert not [name for name in names if name.startswith("tests/")]


def test_it_runs_from_any_folder(installed: Path, tmp_path: Path) -> None:
    listed = run(installed, tmp_path, "personas")
    assert listed.returncode == 0 and "parry" in listed.stdout, listed.stderr
    pipeline = tmp_path / "talk.yml"
    pipeline.write_text(
        "kind: duel\nseats: [{persona: kant, model: scripted/echo}, {persona: mara, model: scripted/echo}]\n"
        "limits: {turns: 4}\n"
    )
    done = run(installed, tmp_path, "run", "talk.yml", "--plain")
    assert done.returncode == 0, done.stderr
    shown = run(installed, tmp_path, "show", "last", "--json")
    assert '"status": "finished"' in shown.stdout


def test_a_loop_with_shipped_roles_is_reported_from_any_folder(installed: Path, tmp_path: Path) -> None:
    pipeline = tmp_path / "loop.yml"
    roles = ("questioner", "creator", "scriber", "judge")
    seats = ", ".join(f"{{role: {role}, model: scripted/echo}}" for role in roles)
    pipeline.write_text(f"kind: loop\nquestion: What is a wheel?\nseats: [{seats}]\nlimits: {{turns: 4}}\n")
    done = run(installed, tmp_path, "run", "loop.yml", "--plain")
    assert done.returncode == 0, done.stderr
    reported = run(installed, tmp_path, "report", "last")
    assert reported.returncode == 0 and "What is a wheel?" in reported.stdout, reported.stderr


def test_the_app_refuses_politely_without_a_terminal(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path)
    assert done.returncode == 2
    assert "terminal" in done.stderr and "Traceback" not in done.stderr
