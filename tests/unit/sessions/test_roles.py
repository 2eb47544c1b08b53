"""Roles are built in, or written by the operator."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bot.commands.registry import COMMANDS_AND_ALIASES
from bot.errors import SettingsError
from bot.sessions.roles import BUILT_IN_ROLES, MAX_INSTRUCTION_CHARS, MAX_ROLES, load_roles

TAKEN = frozenset(COMMANDS_AND_ALIASES)
DOCS = Path(__file__).parents[3] / "docs" / "roles.md"


def written(folder: Path, text: str) -> Path:
    file = folder / "roles.toml"
    file.write_text(text, encoding="utf-8")
    return file


def faults_of(file: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_roles(file, reserved_names=TAKEN)
    return caught.value.faults


def test_without_a_file_there_are_planning_coding_and_review() -> None:
    found = load_roles(None, reserved_names=TAKEN)
    assert set(found) == {"planning", "coding", "review"}
    assert all(len(role.instructions) > 200 for role in found.values())
    assert not any(
        role.model or role.effort or role.tools or role.folder for role in found.values()
    )


def test_a_custom_role_is_added_to_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "handbook").mkdir()
    file = written(
        tmp_path,
        """
        [handbook]
        instructions = "  Answer from the handbook only.  "
        model = "gpt-5-mini"
        effort = "high"
        tools = ["glob", "view", "view"]
        folder = "handbook"
        """,
    )
    found = load_roles(file, reserved_names=TAKEN)
    assert set(found) == {*BUILT_IN_ROLES, "handbook"}
    role = found["handbook"]
    assert role.instructions == "Answer from the handbook only."
    assert (role.model, role.effort) == ("gpt-5-mini", "high")
    assert role.tools == ("view", "glob"), "each tool once"
    assert role.folder == str((tmp_path / "handbook").resolve())


def test_a_role_of_the_same_name_replaces_the_built_in_one(tmp_path: Path) -> None:
    file = written(tmp_path, '[review]\ninstructions = "Be brief."')
    found = load_roles(file, reserved_names=TAKEN)
    assert found["review"].instructions == "Be brief."
    assert found["coding"] == BUILT_IN_ROLES["coding"]


def test_the_folder_is_given_without_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    text = f'[a]\ninstructions = "x"\ntools = ["view"]\nfolder = "{tmp_path / "link"}"'
    assert load_roles(written(tmp_path, text), reserved_names=TAKEN)["a"].folder == str(
        (tmp_path / "real").resolve()
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[review", "not valid TOML"),
        ('instructions = "x"', "`instructions` is outside of a role"),
        ("[mine]", "[mine]: `instructions` are missing"),
        ('[mine]\ninstructions = " "', "`instructions` are missing"),
        ("[mine]\ninstructions = 5", "`instructions` are missing"),
        (f'[mine]\ninstructions = "{"x" * (MAX_INSTRUCTION_CHARS + 1)}"', "shorten them to 8,000"),
        ('[Mine]\ninstructions = "x"', "[Mine]: a name is a small letter"),
        ('["1st"]\ninstructions = "x"', "a name is a small letter"),
        (f'[{"a" * 32}]\ninstructions = "x"', "a name is a small letter"),
        ('["müll"]\ninstructions = "x"', "a name is a small letter"),
        ('[status]\ninstructions = "x"', "[status]: this is the name of a command"),
        ('[new]\ninstructions = "x"', "[new]: this is the name of a command"),
        ('[mine]\ninstructions = "x"\nmodell = "y"', "`modell` is not a key of a role"),
        ('[mine]\ninstructions = "x"\nmodel = 4', "`model`: give the name of a model"),
        ('[mine]\ninstructions = "x"\neffort = "huge"', "`effort`: give one of low, medium, high"),
        ('[mine]\ninstructions = "x"\neffort = 3', "`effort`: give one of low, medium, high"),
        ('[mine]\ninstructions = "x"\ntools = ["bash"]\nfolder = "."', "`tools`: give a list of"),
        ('[mine]\ninstructions = "x"\ntools = "view"\nfolder = "."', "`tools`: give a list of"),
        ('[mine]\ninstructions = "x"\ntools = [["view"]]\nfolder = "."', "`tools`: give a list"),
        ('[mine]\ninstructions = "x"\ntools = ["view"]', "give it as `folder`"),
        ('[mine]\ninstructions = "x"\nfolder = "."', "`folder`: give `tools`, too"),
        (
            '[mine]\ninstructions = "x"\ntools = ["view"]\nfolder = "gone"',
            "does not exist",
        ),
        (
            '[mine]\ninstructions = "x"\ntools = ["view"]\nfolder = "\\u0000"',
            "does not exist",
        ),
        ('[mine]\ninstructions = "x"\ntools = ["view"]\nfolder = 7', "give a path in quotes"),
    ],
)
def test_a_fault_is_reported_with_its_remedy(tmp_path: Path, text: str, fault: str) -> None:
    faults = faults_of(written(tmp_path, text))
    assert len(faults) == 1, faults
    assert faults[0].startswith("ROLES_FILE (roles.toml): ")
    assert fault in faults[0]


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    text = '[a]\neffort = "x"\n[B]\ninstructions = "y"\n[c]\ninstructions = "z"\ncolour = 1'
    faults = faults_of(written(tmp_path, text))
    assert [fault.split("]")[0].split("[")[-1] for fault in faults] == ["a", "a", "B", "c"]


def test_the_number_of_roles_is_bounded(tmp_path: Path) -> None:
    one = '[r{number}]\ninstructions = "x"\n'
    text = "".join(one.format(number=number) for number in range(MAX_ROLES))
    assert len(load_roles(written(tmp_path, text), reserved_names=TAKEN)) == MAX_ROLES + len(
        BUILT_IN_ROLES
    )
    more = text + one.format(number=MAX_ROLES)
    assert "give 25 at most" in faults_of(written(tmp_path, more))[0]


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    assert "readable text file" in faults_of(tmp_path / "gone.toml")[0]
    file = tmp_path / "roles.toml"
    file.write_bytes(b"\xff\xfe[review]")
    assert "readable text file" in faults_of(file)[0]


def test_an_empty_file_leaves_the_built_in_roles(tmp_path: Path) -> None:
    assert load_roles(written(tmp_path, ""), reserved_names=TAKEN) == BUILT_IN_ROLES


def test_the_example_of_the_documentation_is_a_good_file(tmp_path: Path) -> None:
    (tmp_path / "handbook").mkdir()
    example = DOCS.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    found = load_roles(written(tmp_path, example), reserved_names=TAKEN)
    assert set(found) == {*BUILT_IN_ROLES, *tomllib.loads(example)}


def test_no_built_in_role_has_the_name_of_a_command() -> None:
    assert not TAKEN & set(BUILT_IN_ROLES)
