"""`tertulia report`, and exports that are folders."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.record.reader import Reader
from tests.fixtures.loop_record import Loop, two_rounds

from .conftest import Cli


@pytest.fixture
def talked(database: Path, record: str) -> str:
    """A loop that crashed in its third round, beside the finished duel `record`; returns its id."""
    loop = Loop(database)
    two_rounds(loop)
    loop.db.close()
    return loop.id


def test_a_report_on_one_run_or_all_goes_to_stdout_or_a_file(
    cli: Cli, talked: str, record: str, tmp_path: Path
) -> None:
    out = cli("report", "last").out
    assert out.startswith("# Report on Teaching\n\nCounted over 1 run, 6 turns, ") and f"### Run {talked}" in out
    assert "crashed" in out and "its process died" in out
    everything = cli("report", "all").out
    assert everything.startswith("# Report on all runs") and f"| [{record}](#run-{record}) |" in everything
    assert "price unknown for 1 call" in everything
    place = tmp_path / "deep" / "r.html"
    assert cli("report", "all", "--format", "html", "-o", place).out == f"{place}\n"
    assert place.read_text().startswith("<!DOCTYPE html>")
    refused = cli("report", "all", "-o", place)
    assert refused.code == 2 and "--force" in refused.err
    assert cli("report", "all", "-o", place, "--force").code == 0 and place.read_text().startswith("# Report")


def test_what_is_watched_and_compared_with_can_be_chosen(cli: Cli, talked: str, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("We plan and plan. " * 100)
    out = cli("report", "last", "--track", "rules of chess", "--control", own).out
    assert re.search(r"^\| rules of chess \| 1 \| 1 \| 1 \|", out, re.M) and "Control text: own.txt; 400 words." in out
    config = tmp_path / "config" / "tertulia" / "report.yml"
    config.parent.mkdir(parents=True)
    config.write_text("families: {games: [chess]}\nseats: [Questioner]\n")
    out = cli("report", "last").out
    assert "games" in out and "planning" in out and "turns of Questioner" in out
    config.write_text("familys: {}\n")
    failed = cli("report", "last")
    assert failed.code == 2 and f"{config}: familys: unknown; did you mean families?" in failed.err


def test_bad_input_is_one_line(cli: Cli, talked: str, tmp_path: Path) -> None:
    for words, code, told in (
        (["report", "nobody"], 2, "no run nobody"),
        (["report", "last", "--format", "pdf"], 2, "pdf"),
        (["report", "last", "--control", tmp_path / "none.txt"], 1, "No such file"),
        (["export", "all", "--format", "html"], 2, "`all` goes with --format index"),
        (["export", "nobody", "--format", "index"], 2, "no run nobody"),
    ):
        result = cli(*words)
        assert (result.code, result.out, result.err.count("\n")) == (code, "", 1) and told in result.err, words


def test_a_record_without_runs_has_a_report_and_an_index(cli: Cli, database: Path) -> None:
    Loop(database).db.close()
    with sqlite3.connect(database) as db:
        db.execute("DELETE FROM event")
        db.execute("DELETE FROM run")
    assert "Counted over 0 runs" in cli("report", "all").out
    assert "No run yet." in cli("export", "all", "--format", "index").out
    assert cli("report", "last").code == 2


def test_an_index_in_a_folder_links_to_the_folder_of_every_run(
    cli: Cli, talked: str, record: str, tmp_path: Path
) -> None:
    place = tmp_path / "runs"
    assert cli("export", "all", "--format", "index", "-o", f"{place}/").out == f"{place}/index.md\n"
    links = re.findall(r"\]\((.*?)\)", (place / "index.md").read_text())
    assert [link.split("/")[0].rpartition("_")[2] for link in links] == [talked, record]
    assert all((place / link).read_text().startswith("# Transcript: ") for link in links)
    folder = (place / links[0]).parent
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\w{8}", folder.name)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "errors.log",
        "logs/turn_001.log",
        "logs/turn_002.log",
        "logs/turn_003.log",
        "manifest.json",
        "master.md",
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["run_id"], manifest["status"], manifest["ended_utc"]) == (talked, "crashed", None)
    assert [json.loads(line)["error"] for line in (folder / "errors.log").read_text().splitlines()] == [
        "its process died"
    ]
    assert (folder / "logs" / "turn_002.log").read_text().startswith("# Turn 2\n\n## you (note)")
    again = cli("export", "all", "--format", "index", "-o", place)
    assert again.code == 2 and "--force" in again.err
    (folder / "logs" / "turn_009.log").write_text("a round that was taken back")
    (folder / "logs" / "notes.txt").write_text("mine")
    assert cli("export", "all", "--format", "index", "-o", place, "--force").code == 0
    assert not (folder / "logs" / "turn_009.log").exists() and (folder / "logs" / "notes.txt").exists()


def test_the_transcript_of_a_run_is_a_file_or_a_folder(cli: Cli, talked: str, tmp_path: Path) -> None:
    assert cli("export", "last", "--format", "master").out.startswith("# Transcript: Teaching")
    assert cli("export", "last", "--format", "master", "-o", tmp_path / "m.md").out == f"{tmp_path / 'm.md'}\n"
    made = Path(cli("export", "last", "--format", "master", "-o", f"{tmp_path}/here/").out.strip())
    assert made.read_text() == (tmp_path / "m.md").read_text() and (made.parent / "manifest.json").exists()
    refused = cli("export", "last", "--format", "master", "-o", f"{tmp_path}/here/")
    assert refused.code == 2 and "is there already" in refused.err
    assert "- 2" in cli("export", "last", "--format", "index").out
    names = {
        Path(cli("export", "last", "--format", fmt, "-o", f"{tmp_path}/all/").out.strip()).name
        for fmt in ("jsonl", "chatml", "errors", "manifest")
    }
    assert len(names) == 4, "formats do not overwrite each other"


def test_reporting_on_a_live_record_changes_nothing(cli: Cli, talked: str, database: Path) -> None:
    reader = Reader(database)
    before = reader.newest()
    cli("report", "all")
    cli("export", "last", "--format", "errors")
    assert reader.newest() == before
    reader.close()


def test_a_report_imports_nothing_heavy(talked: str, database: Path) -> None:
    code = "import sys; from engine.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    words = [sys.executable, "-c", code, "--db", str(database), "report", "all"]
    done = subprocess.run(words, capture_output=True, timeout=60, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "engine.record.report.study" in loaded
    assert not loaded & {"pydantic", "numpy", "openai", "anthropic", "textual", "rich", "sqlite_utils", "engine.talk"}
