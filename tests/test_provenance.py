"""The hash over a stage's code changes with what the code does, and with nothing else."""

import pytest

from facemill import provenance

PROGRAM = '''"""Says something."""


def main():
    from facemill.data import topology

    return topology
'''


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def changed(path, old, new):
    """Hash of a program after a replacement in its text."""
    assert old in PROGRAM
    provenance.imported.cache_clear()
    path.write_text(PROGRAM.replace(old, new))
    return provenance.code_hash(path)


def test_docstrings_comments_and_layout_do_not_count(program):
    before = provenance.code_hash(program)
    assert changed(program, "Says something.", "Says something else.") == before
    assert changed(program, "    return", "    # why\n\n    return") == before


def test_what_the_code_does_counts(program):
    before = provenance.code_hash(program)
    assert changed(program, "return topology", "return None") != before
    assert changed(program, "import topology", "import topology, splits") != before


def test_modules_are_followed_through_functions_and_packages(program):
    names = {path.relative_to(provenance.PACKAGE).as_posix() for path in
             provenance.modules_of(program)}  # fmt: skip
    assert {"__init__.py", "data/__init__.py", "data/topology.py", "files.py"} <= names
    assert "data/splits.py" not in names


def test_data_that_a_module_names_counts():
    lists = provenance.data_files(provenance.PACKAGE / "data" / "facescape.py")
    assert "facescape_lists.json" in {path.name for path in lists}


def test_every_script_has_its_own_hash(repository):
    scripts = sorted((repository / "workflow/scripts").glob("*.py"))
    assert len({provenance.code_hash(path) for path in scripts}) == len(scripts)


def test_what_was_read_is_remembered_until_the_file_changes(program, tmp_path, monkeypatch):
    remembered = tmp_path / "hashes.json"
    first = provenance.code_hashes([program], remembered)
    assert first == {"program": provenance.code_hash(program)}

    def forget():
        provenance._seen.clear()
        provenance.imported.cache_clear()

    def fail(*args, **more):
        raise AssertionError("parsed again")

    forget()
    with monkeypatch.context() as patch:
        patch.setattr(provenance.ast, "parse", fail)
        assert provenance.code_hashes([program], remembered) == first
    forget()
    program.write_text(PROGRAM.replace("return topology", "return None"))
    assert provenance.code_hashes([program], remembered) != first
    forget()
    remembered.write_text("{broken")
    program.write_text(PROGRAM)
    assert provenance.code_hashes([program], remembered) == first
