from __future__ import annotations

from pathlib import Path

import pytest

from engine.settings import shipped, yaml_file
from engine.settings.errors import UsageError
from engine.talk import personas, rules, spec

GUEST = """\
---
model: ollama/llama3.2
options: {temperature: 0.8, stop: ["END"]}
examples:
  - {user: Good evening., assistant: "Is it?"}
---
# Secret agent: of a kind: James Bond, 007 (en) [m]

You are on leave.
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's persona folder, empty and away from the real one."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return personas.own_folder()


def write(folder: Path, name: str, content: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    guest = personas.find(write(tmp_path, "bond.md", GUEST))
    assert (guest.slug, guest.name, guest.description) == ("bond", "James Bond, 007", "Secret agent: of a kind")
    assert (guest.language, guest.gender, guest.model) == ("en", "m", "ollama/llama3.2")
    assert guest.options == {"temperature": 0.8, "stop": ["END"]}
    assert guest.examples == (personas.Example("Good evening.", "Is it?"),)
    assert guest.body == "# Secret agent: of a kind: James Bond, 007 (en) [m]\n\nYou are on leave."


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("# A: B", ("A", "B", None, None)),
        ("# A: B (de)", ("A", "B", "de", None)),
        ("# A: B [F]", ("A", "B", None, "f")),
        ("# A: B [n] (EL)", ("A", "B", "el", "n")),
        ("#  A :  B(de)[f] ", ("A", "B", "de", "f")),
        ("# A: Pitt (the Younger) (en)", ("A", "Pitt (the Younger)", "en", None)),
        ("# A: 清少納言 (ja) [f]", ("A", "清少納言", "ja", "f")),
    ],
)
def test_titles(title: str, expected: tuple[str | None, ...]) -> None:
    assert personas.parse_title(title, "x.md:1") == expected


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Dr. Ada Byron", "Ada Byron"),
        ("Prof. Dr. Kant", "Kant"),
        ("Mrs. Dalloway", "Dalloway"),
        ("Drake", "Drake"),
        ("Dr.", "Dr."),
    ],
)
def test_short_name_drops_forms_of_address(name: str, short: str) -> None:
    assert personas.parse(f"# A: {name}\n\nText.", Path("x.md")).short_name == short


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ": empty; begin it with"),
        (" \n\n", ": empty; begin it with"),
        ("---\nmodel: a/b\n---\n\n", ": nothing below the front matter"),
        ("---\nmodel: a/b\n---", ": nothing below the front matter"),
        ("\nYou are Ann.\n", ":2: must be the title"),
        ("## A: B\n\nText", ":1: must be the title"),
        ("# Ann\n\nText", ":1: the title has no colon"),
        ("# Guest: (en) [f]\n\nText", ":1: no name after"),
        ("# : Ann\n\nText", ":1: no description"),
        ("# A: B [x]\n\nText", ":1: [x] is no gender; write [m], [f], [n] or nothing"),
        ("# A: B (en) (de)\n\nText", ":1: the title gives the language twice"),
        ("# A: B\n\n  \n", ": no text below the title; say there who B is"),
        ("# A: B\n\nText \x1b[2J", ":3: holds the control character U+001B"),
        (b"# A: B\n\nG\xfcnther", ": not UTF-8 (byte 9 is 0xfc); save it as UTF-8"),
        ("# A: B\n\nText".encode("utf-16"), ": not UTF-8 (byte 0 is 0xff)"),
        ("# A: B\n\n" + "x" * personas.LIMIT, f": {personas.LIMIT + 8} bytes, a persona may have {personas.LIMIT}"),
        ("---\nmodel: a/b\n# A: B\n\nText", ":1: the front matter is never closed"),
        ("---\nmodel: a/b\noptions: {x: 1\n---\n# A: B\n\nT", ":3: not valid YAML"),
        ("---\n- a\n---\n# A: B\n\nT", ":2: the front matter must be `key: value` pairs"),
        ("---\nmodle: a/b\n---\n# A: B\n\nT", "unknown key 'modle'; did you mean model?"),
        ("---\nmodel: llama\n---\n# A: B\n\nT", "model must be provider/name"),
        ("---\noptions: [1]\n---\n# A: B\n\nT", "options must be pairs"),
        ("---\noptions: {a: {b: 1}}\n---\n# A: B\n\nT", "options.a must be a number or words"),
        ("---\nexamples: hello\n---\n# A: B\n\nT", "examples must be a list of exchanges"),
        ("---\nexamples: [hello]\n---\n# A: B\n\nT", "number 1 is 'hello'"),
        ("---\nexamples: [{user: a, asistant: b}]\n---\n# A: B\n\nT", "did you mean assistant?"),
        ("---\nexamples: [{user: a}]\n---\n# A: B\n\nT", "example 1 needs text for `assistant`"),
        ("---\nexamples: [{user: yes, assistant: b}]\n---\n# A: B\n\nT", "example 1 needs text for `user`"),
        ("---\na: &a [1]\nmodel: *a\n---\n# A: B\n\nT", "aliases are not supported"),
        ("---\noptions: " + "[" * 20_000 + "\n---\n# A: B\n\nT", ": not valid YAML"),
    ],
)
def test_a_bad_file_gets_one_line_that_names_it(tmp_path: Path, content: str | bytes, says: str) -> None:
    path = write(tmp_path, "bad.md", content)
    with pytest.raises(UsageError) as caught:
        personas.find(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_windows_files_are_read(tmp_path: Path) -> None:
    text = ("\ufeff" + GUEST).replace("\n", "\r\n")
    assert personas.find(write(tmp_path, "bond.md", text)).body.endswith("[m]\n\nYou are on leave.")


def test_path_then_own_then_shipped(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert personas.find("ELIZA").path == shipped.folder("personas") / "eliza.md"
    write(own, "eliza.md", "# Mine: Eliza\n\nText.")
    assert personas.find("eliza").description == "Mine"
    write(tmp_path, "eliza", "# Here: Eliza\n\nText.")
    assert personas.find("eliza").description == "Here"


def test_a_broken_own_file_is_an_error_and_never_replaced_by_the_shipped_one(own: Path) -> None:
    write(own, "eliza.md", "nothing")
    with pytest.raises(UsageError, match=r"eliza\.md:1: must be the title"):
        personas.find("eliza")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("elisa", "no persona is called 'elisa': did you mean eliza?"),
        ("../eliza", "no such persona file"),
        ("nobody.md", "no such persona file"),
        ("rules/control", "no such persona file"),
    ],
)
def test_unknown_names(name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        personas.find(name)
    assert says in str(caught.value)


def test_a_folder_is_no_persona(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a folder"):
        personas.find(tmp_path)


def test_available_lists_own_over_shipped_and_the_broken_with_their_error(own: Path) -> None:
    write(own, "eliza.md", "# Mine: Eliza\n\nText.")
    write(own, "broken.md", "")
    listed = {item.slug: item for item in personas.available()}
    assert listed["eliza"].own
    assert not listed["parry"].own
    assert listed["broken"].persona is None
    assert "empty" in listed["broken"].error
    assert "control" not in listed


def test_a_new_persona_can_be_used_at_once_and_is_never_overwritten(own: Path) -> None:
    path = personas.new("Dr. Zoë Ångström", "Baker at night", language="sv", gender="f")
    assert path == own / "zoe-angstrom.md"
    guest = personas.find("zoe-angstrom")
    assert (guest.name, guest.description, guest.language, guest.gender) == (
        "Dr. Zoë Ångström",
        "Baker at night",
        "sv",
        "f",
    )
    assert "You are Dr. Zoë Ångström." in guest.body
    path.write_text("# Mine: Z\n\nKept.")
    with pytest.raises(UsageError, match="exists already"):
        personas.new("Zoë Ångström")
    assert path.read_text() == "# Mine: Z\n\nKept."


@pytest.mark.parametrize(
    "given",
    [
        {"name": "A: B"},
        {"name": "Ann (en)"},
        {"name": ""},
        {"name": "…"},
        {"name": "Ann", "language": "english"},
        {"name": "Ann", "gender": "x"},
        {"name": "Ann", "slug": "../ann"},
        {"name": "Ann", "slug": ""},
        {"name": "Ann\x1b[2J"},
    ],
)
def test_a_new_persona_that_could_not_be_read_back_is_refused(given: dict[str, str], own: Path) -> None:
    with pytest.raises(UsageError):
        personas.new(**given)
    assert not own.exists()


def test_what_is_wrong_with_a_new_persona_is_named(own: Path) -> None:
    with pytest.raises(UsageError, match=r"^language 'english': write it as two small letters"):
        personas.new("Ann", language="english")
    with pytest.raises(UsageError, match=r"^gender 'x': write it as m, f or n"):
        personas.new("Ann", gender="x")


def test_a_new_persona_in_a_folder_that_cannot_be_made(own: Path) -> None:
    write(own.parent.parent, own.parent.name, "a file where the folder should be")
    with pytest.raises(UsageError, match="cannot be written"):
        personas.new("Ann")


def test_rules_are_added_as_chosen(own: Path) -> None:
    guest = personas.find("mara")
    plain, control, turing = (rules.system_prompt(guest, name) for name in ("none", "control", "turing-test"))
    assert plain == guest.body
    assert rules.system_prompt(guest) == control
    assert control.startswith(plain)
    assert turing.startswith(control)
    assert all(f"`{word}`" in control for word in ("/start", "/help", "/bye", "/end", "/stop"))
    assert "Turing test" in turing.removeprefix(control)
    with pytest.raises(UsageError, match="did you mean turing-test"):
        rules.system_prompt(guest, "turing")
    write(own / "rules", "control.md", "Be brief.\n")
    assert rules.system_prompt(guest) == f"{plain}\n\nBe brief."


def shipped_guests() -> list[personas.Listed]:
    return [item for item in personas.available() if not item.own]


def test_every_shipped_guest_can_sit_down() -> None:
    guests = [item.persona for item in shipped_guests()]
    assert None not in guests, [item.error for item in shipped_guests() if item.error]
    spoken = {guest.language for guest in guests if guest}
    assert len(guests) >= 14
    assert spoken >= {"en", "de", "fr", "es", "it", "el", "pt", "ja"}
    assert all(guest.gender and guest.examples for guest in guests if guest)


@pytest.mark.parametrize("slug", [path.stem for path in sorted(shipped.folder("personas").glob("*.md"))])
def test_no_shipped_guest_contradicts_the_rules_or_copies_them(slug: str) -> None:
    text = personas.find(slug).body.casefold()
    for phrase in ("language model", "chatbot", "turing", "artificial intelligence", "/bye", "/start", " ai "):
        assert phrase not in text


def test_the_guests_of_the_small_model_are_short() -> None:
    for slug in ("eliza", "parry"):
        guest = personas.find(slug)
        assert len(guest.body.split()) < 90
        assert len(guest.examples) == 3


@pytest.mark.parametrize("path", sorted(shipped.folder("pipelines").glob("*.yml")), ids=lambda path: path.stem)
def test_shipped_duels_are_valid_and_name_guests_that_exist(path: Path) -> None:
    pipeline = yaml_file.load_mapping(path)
    if pipeline["kind"] != "duel":
        pytest.skip("not a duel")
    duel = spec.validate(pipeline, str(path))
    assert all(len(seat.name) <= 32 for seat in duel.seats)
    assert pipeline.get("starter", "random") in (*(seat["persona"] for seat in pipeline["seats"]), "random")
