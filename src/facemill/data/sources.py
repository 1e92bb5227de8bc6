"""The data sources behind one interface: who is there, where their tree lies, how it is filled.

All functions take the whole configuration as a plain dict. ``people``, ``expressions`` and
``tree`` are asked when the workflow is loaded: they are light and open no mesh.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from facemill.data.expressions import EXPRESSIONS, NEUTRAL
from facemill.data.multiface import multiface_root, people_in_multiface, takes_in
from facemill.data.tree import ScanFiles, people_in, scans_in
from facemill.errors import ConfigError

Settings = Mapping[str, Any]

KNOWN = ("demo", "ict", "facescape", "multiface")
"""Data sets that are known by name; any other name is the path of a folder of meshes."""

DRAWN = {"demo": "d", "ict": "i"}
"""Data sets whose people are drawn by seed and number, and the letter of their names."""

WRITTEN = ("demo", "ict", "folder")
"""Kinds of data sets whose tree ``data_person`` writes."""


def kind(settings: Settings) -> str:
    """``demo``, ``ict``, ``facescape``, ``multiface``, or ``folder`` (any other: its path)."""
    dataset = str(settings["dataset"])
    return dataset if dataset in KNOWN else "folder"


def results_name(settings: Settings) -> str:
    """Name of the run's folder below results/: ``name``, else the data set's own."""
    if settings.get("name"):
        return str(settings["name"])
    name = Path(str(settings["dataset"])).resolve().name if kind(settings) == "folder" else ""
    return re.sub(r"[^\w.-]+", "_", name) or str(settings["dataset"])


def tree(settings: Settings) -> Path:
    """Folder that holds one folder of scans per person.

    Drawn people lie under the run's name, so that runs with other settings keep their own.
    """
    match kind(settings):
        case "demo":
            return Path("resources") / results_name(settings)
        case "ict":
            return Path("resources") / results_name(settings) / "people"
        case "facescape":
            return facescape_root(settings)
        case "multiface":
            return multiface_root(settings)
        case _:
            return Path("results") / results_name(settings) / "aligned"


def facescape_root(settings: Settings) -> Path:
    """The folder of FaceScape's TU models, checked to be there."""
    root = settings.get("facescape_root")
    if not root:
        raise ConfigError(
            "facescape_root is not set; dataset: facescape needs the folder that holds one "
            "numbered folder per person, e.g. --config facescape_root=/data/facescape."
        )
    if not Path(root).is_dir():
        raise ConfigError(
            f"facescape_root: {root} is no folder; expected the one that holds one numbered folder "
            "per person (1 to 847)."
        )
    return Path(root)


def mesh_folder(settings: Settings) -> Path:
    """The user's folder of meshes of any topology, checked to be there."""
    folder = Path(str(settings["dataset"]))
    if not folder.is_dir():
        near = difflib.get_close_matches(str(folder), KNOWN, n=1)
        raise ConfigError(
            f"dataset: {folder} is neither {', '.join(KNOWN)} nor a folder of meshes"
            + (f"; did you mean {near[0]}?" if near else "; create the folder or mend the path.")
        )
    return folder


def ict_model_folder(settings: Settings) -> Path:
    """Folder of the packed ICT model: the config's, checked to be there, else the fetched one."""
    from facemill.data.ict import MODEL_FILE

    named = settings.get("ict_model")
    if not named:
        return Path("resources/ict/model")
    if not (Path(named) / MODEL_FILE).is_file():
        raise ConfigError(
            f"ict_model: {named} holds no {MODEL_FILE}; expected the folder of a packed ICT model. "
            "Without this key the public release is fetched."
        )
    return Path(named)


def people(settings: Settings) -> list[str]:
    """The people a run uses, numbers sorted as numbers.

    The config's ``people`` is a count (the first ones), a list of names, or null for all there
    are. Raises ConfigError where the data set's folder is not there, a name is unknown, or null
    is asked of people who are drawn.
    """
    wanted = settings.get("people")
    letter = DRAWN.get(kind(settings))
    if letter is not None:
        if kind(settings) == "ict":
            ict_model_folder(settings)
        return _drawn(letter, wanted)
    if kind(settings) == "facescape":
        root, key = facescape_root(settings), "facescape_root"
        # The toolkit may lie among the numbered folders.
        present = [name for name in people_in(root, key) if name.isdecimal()]
    elif kind(settings) == "multiface":
        root, key = multiface_root(settings), "multiface.root"
        present = people_in_multiface(root)
    else:
        from facemill.data.folder import people_in_folder

        root, key = mesh_folder(settings), "dataset"
        present = people_in_folder(root)
    if not present:
        raise ConfigError(f"{key}: {root} holds no numbered folder of a person.")
    if wanted is None:
        return present
    if isinstance(wanted, int):
        if wanted > len(present):
            raise ConfigError(
                f"people: {wanted} asked for, but {root} holds {len(present)}; give a smaller "
                "number, or null for all."
            )
        return present[:wanted]
    names = [str(person) for person in wanted]
    unknown = [name for name in names if name not in set(present)]
    if unknown:
        raise ConfigError(
            f"people: {', '.join(unknown[:10])} not found in {root}, which holds "
            f"{len(present)} people ({present[0]} to {present[-1]})."
        )
    return [name for name in present if name in set(names)]


def _drawn(letter: str, wanted: Any) -> list[str]:
    """Names of drawn people: a count, or a list of names such as d001."""
    if wanted is None:
        raise ConfigError("people: null means all there are, but these are drawn; give a count.")
    if isinstance(wanted, int):
        return [f"{letter}{number:03d}" for number in range(1, wanted + 1)]
    wrong = [str(n) for n in wanted if not re.fullmatch(letter + r"(?!000$)\d{3,}", str(n))]
    if wrong:
        raise ConfigError(
            f"people: {', '.join(wrong)} is no name here; expected a count or names like "
            f"{letter}001."
        )
    return sorted({str(name) for name in wanted}, key=lambda name: int(name[1:]))


def expressions(settings: Settings) -> list[str]:
    """The expressions a run uses, in FaceScape's order; of Multiface the neutral is known by name.

    What else Multiface's people do differs from one to the next, and is not chosen by name.
    """
    if kind(settings) == "multiface":
        return [NEUTRAL]
    wanted = settings.get("expressions", "all")
    if kind(settings) == "folder":
        from facemill.data.folder import expressions_in_folder

        known: Sequence[str] = expressions_in_folder(mesh_folder(settings))
    else:
        known = EXPRESSIONS
    if wanted in ("all", None):
        return list(known)
    names = [str(name) for name in wanted]
    unknown = [name for name in names if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        raise ConfigError(
            f"expressions: {', '.join(unknown)} unknown"
            + (f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}.")
        )
    return [name for name in known if name in names]


def listing(settings: Settings) -> Callable[[Path], Mapping[str, ScanFiles]]:
    """How the scans in a person's folder of the tree are listed."""
    return takes_in if kind(settings) == "multiface" else scans_in


def write_topologies(settings: Settings, out: str | Path) -> None:
    """Write the topologies of a data set as ``<out>/<name>.npz``; the folder appears whole.

    A folder of meshes has none: there the landmarks lie beside each aligned mesh. Of Multiface no
    landmarks are known.
    """
    from facemill.data.topology import save_topology
    from facemill.files import writing

    match kind(settings):
        case "demo":
            from facemill.data import demo

            found = [demo.topology()]
        case "ict":
            from facemill.data import ict

            found = [ict.topology(ict.load_model(ict_model_folder(settings)))]
        case "facescape":
            from facemill.data import facescape

            found = facescape.topologies(facescape_root(settings), settings.get("facescape", {}))
        case _:
            found = []
    with writing(out) as part:
        part.mkdir(parents=True)
        for topology in found:
            save_topology(topology, part / f"{topology.name}.npz")


def write_person(settings: Settings, person: str, out: str | Path) -> None:
    """Write one person's folder of the tree, whole or not at all: demo, ict, or aligned meshes."""
    from facemill.files import writing

    names, seed = expressions(settings), int(settings.get("seed", 0))
    match kind(settings):
        case "demo":
            from facemill.data import demo

            size = int(settings.get("demo", {}).get("texture_size", 1024))
            demo.write_person(person, names, seed, size, out)
        case "ict":
            from facemill.data import ict

            with writing(out) as part:
                ict.write_person(ict_model_folder(settings), person, names, settings, part)
        case "folder":
            from facemill.data import folder

            with writing(out) as part:
                folder.write_person(mesh_folder(settings), person, names, settings, part)
        case _:
            raise ConfigError(
                f"dataset: {kind(settings)} is read where it lies; its people are not written."
            )
