"""One HTML page per run: facts, tables, pictures and the interactive view, in a single file.

Everything is inlined, so that the page can be mailed and opened without a network.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from facemill.data.index import load_index
from facemill.files import read_json, require_file, writing
from facemill.metrics.readable import readable

STYLE = Path(__file__).parent / "assets" / "report.css"
TITLES = {
    "compare": "All methods",
    "imface_intervals": "ImFace: intervals over people",
    "imface_people": "ImFace: person by person",
    "data_sheet": "People and expressions",
    "mesh_figure": "From scan to samples",
    "views_sheet": "Views",
    "imface_reconstruction": "ImFace: reconstructions",
    "imface_interpolation": "ImFace: from person to person",
    "imface_expressions": "ImFace: from neutral to an expression",
    "imface_transfer": "ImFace: one person's expressions on others",
    "imface_correspondence": "ImFace: dense correspondence",
    "imface_correspondence_colours": "ImFace: same colour, same place",
    "imface_texture_transfer": "ImFace: skins handed on",
    "imface_random": "ImFace: people who do not exist",
    "imface_curves": "ImFace: training curves",
    "mofanerf_novel_views": "MoFaNeRF: held-out and new views",
    "mofanerf_fit_photo": "MoFaNeRF: from a photo",
}
AGAIN = "Delete it to have it made again."


def write_report(
    out: str | Path,
    *,
    name: str,
    index: str | Path,
    tables: Sequence[str | Path],
    figures: Sequence[str | Path],
    captions: str | Path,
    viewer: str | Path,
    runs: Sequence[str | Path],
    settings: Mapping[str, Any],
) -> None:
    """Write the page.

    ``figures`` are PNG files, in the order of the page; a figure or table ``x`` takes its words
    from ``<captions>/x.rst``. ``viewer`` is a self-contained page that is embedded. ``runs`` are
    the run.json files of trainings, ``<system>/<variant>/run.json``. ``settings`` is the
    configuration.
    Raises DataError naming a file that is missing or damaged.
    """
    words = {path.stem: path.read_text(encoding="utf-8") for path in Path(captions).glob("*.rst")}
    parts = [
        header(name, load_index(index)),
        section("Results", *(table_block(path, words) for path in tables)),
        section("Interactive", embedded(viewer)),
        section("Pictures", *(picture(path, words) for path in figures)),
        section("Training", training_runs(runs)),
        section("Configuration", details("All keys of this run", json.dumps(settings, indent=1))),
    ]
    page = PAGE.format(
        title=html.escape(f"facemill: {name}"),
        style=STYLE.read_text(encoding="utf-8"),
        body="\n".join(parts),
    )
    with writing(out) as part:
        part.write_text(page, encoding="utf-8")


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def header(name: str, index: Mapping[str, Any]) -> str:
    """Title and the facts about the data in a row of cards."""
    people, split = index["people"], index["split"]
    scans = sum(len(person["scans"]) for person in people.values())
    missing = sum(len(person["missing"]) for person in people.values())
    facts = {
        "data set": index["dataset"],
        "people": f"{len(split['train'])} to train, {len(split['test'])} to test",
        "expressions": f"{len(split['seen_expressions'])} seen, "
        f"{len(split['unseen_expressions'])} unseen",
        "scans": f"{scans}" + (f", {missing} missing" if missing else ""),
        "seed": str(split["seed"]),
        "split": split["hash"],
    }
    cards = "".join(
        f"<div><dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd></div>"
        for key, value in facts.items()
    )
    note = (
        "<p class='note'>These heads are made by the program itself. They test the pipeline; they "
        "are not scans of people.</p>"
        if index["dataset"] == "demo"
        else ""
    )
    return f"<header><h1>{html.escape(name)}</h1><dl>{cards}</dl>{note}</header>"


def section(title: str, *blocks: str) -> str:
    """A titled part of the page; nothing where there are no blocks."""
    if not any(blocks):
        return ""
    return f"<section><h2>{html.escape(title)}</h2>\n{''.join(blocks)}</section>"


def table_block(path: str | Path, words: Mapping[str, str]) -> str:
    """A tidy table as readable tables by split, with the CSV inside."""
    source = require_file(path, AGAIN).read_text(encoding="utf-8")
    blocks = tables_from_markdown(readable(path))
    return f"<h3>{html.escape(title_of(path))}</h3>{caption(path, words)}{blocks}" + details(
        f"{Path(path).name}, all metrics", source
    )


def tables_from_markdown(text: str) -> str:
    """HTML of Markdown tables with a bold line above each."""
    blocks = []
    for block in text.strip().split("\n\n"):
        lines = block.splitlines()
        if lines and lines[0].startswith("|"):
            head, _, *rows = (
                [cell.strip() for cell in line.strip("|").split("|")] for line in lines
            )
            top = "".join(f"<th>{column(cell)}</th>" for cell in head)
            body = "".join(
                "<tr>" + "".join(f"<td>{inline(cell)}</td>" for cell in row) + "</tr>"
                for row in rows
            )
            names = " class='two-names'" if head[:2] == ["system", "method"] else ""
            blocks.append(
                f"<div class='wide'><table{names}><thead><tr>{top}</tr></thead>"
                f"<tbody>{body}</tbody></table></div>"
            )
        elif lines:
            blocks.append(f"<p class='split'>{inline(block)}</p>")
    return "\n".join(blocks)


def column(text: str) -> str:
    """A column's head: words for underscores, the unit below."""
    name, _, unit = text.partition(" [")
    below = f"<small>{html.escape(unit.rstrip(']'))}</small>" if unit.strip("]") else ""
    return html.escape(name.replace("_", " ")) + below


def inline(text: str) -> str:
    """Escaped text in which ``**bold**`` and ````code```` are marked up."""
    text = html.escape(text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"``(.+?)``", r"<code>\1</code>", text)


def title_of(path: str | Path) -> str:
    """A heading for a figure or table, by default its file's name in words."""
    return TITLES.get(Path(path).stem, Path(path).stem.replace("_", " ").capitalize())


def caption(path: str | Path, words: Mapping[str, str]) -> str:
    """What a figure or table shows, from its caption file; empty where there is none."""
    text = words.get(Path(path).stem, words.get(f"{Path(path).stem}_table", ""))
    return "".join(f"<p>{inline(part)}</p>" for part in text.strip().split("\n\n") if part)


def picture(path: str | Path, words: Mapping[str, str]) -> str:
    """A PNG with its caption."""
    image = base64.b64encode(require_file(path, AGAIN).read_bytes()).decode()
    title = html.escape(title_of(path))
    return (
        f"<figure id='{html.escape(Path(path).stem)}'><h3>{title}</h3>"
        f"<img alt='{title}' src='data:image/png;base64,{image}'>"
        f"<figcaption>{caption(path, words)}</figcaption></figure>\n"
    )


def embedded(viewer: str | Path) -> str:
    """The interactive page in a frame of its own, loaded when it comes into view."""
    page = require_file(viewer, AGAIN).read_text(encoding="utf-8")
    return (
        "<p>Drag to turn, scroll to come nearer. The same page stands beside this one as "
        f"<code>report/{html.escape(Path(viewer).name)}</code>.</p>"
        f'<iframe title="Interactive view" loading="lazy" srcdoc="{html.escape(page)}"></iframe>'
    )


def training_runs(runs: Iterable[str | Path]) -> str:
    """One line per trained variant: what it cost and where it ran."""
    rows = []
    for path in map(Path, runs):
        record = read_json(path)
        facts = {key: value for key, value in record.items() if not isinstance(value, dict | list)}
        cells = "".join(
            f"<div><dt>{html.escape(key.replace('_', ' '))}</dt><dd>{fact(value)}</dd></div>"
            for key, value in facts.items()
        )
        name = html.escape(f"{path.parent.parent.name}, {path.parent.name}")
        rows.append(f"<h3>{name}</h3><dl>{cells}</dl>")
        rows.append(details("Versions and settings", json.dumps(record, indent=1)))
    return "".join(rows)


def fact(value: Any) -> str:
    """A number with three significant places, anything else as it stands."""
    return html.escape(
        f"{value:.3g}" if isinstance(value, float) and abs(value) < 1e3 else str(value)
    )


def details(summary: str, text: str) -> str:
    """Text behind a line that opens on a click."""
    head = f"<summary>{html.escape(summary)}</summary>"
    return f"<details>{head}<pre>{html.escape(text)}</pre></details>"
