"""The configuration: one schema that fills in defaults, refuses mistakes and writes its own page.

``workflow/schemas/config.schema.yaml`` holds a sentence, a type, a range and a default for every
key. Everything here is light, because the workflow loads it at every start.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from facemill.errors import ConfigError

Schema = Mapping[str, Any]

TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table of keys",
}
RANGES = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "up to {}",
    "exclusiveMaximum": "below {}",
    "minItems": "of at least {}",
}

PAGE_HEAD = """# Configuration

Made from `workflow/schemas/config.schema.yaml` by `make docs`; edit that file.

`config.yaml` is the run that `snakemake --cores all all` makes. A preset is laid over it with
`--configfile config/ict.yaml`, single keys with `--config seed=3`; later ones win. Keys that none
of them sets have the defaults below, which are the published sizes. A key that is unknown, of
another type or out of range stops the run at once and is named.

"""


def load_schema(path: str | Path) -> Schema:
    """Read the schema from its YAML file."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def checked(config: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The configuration with all defaults filled in.

    Raises a ConfigError with one line for every key that is unknown (and the known one nearest to
    it), of another type or out of range (and what is allowed).
    """
    full = with_defaults(config, schema)
    problems = [
        line for error in Draft202012Validator(schema).iter_errors(full) for line in lines(error)
    ]
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    return full


def with_defaults(value: Any, schema: Schema, fill: bool = True) -> Any:
    """A copy of ``value`` in which every absent key has its default, at any depth.

    72.0 becomes 72 where a whole number is wanted, and "72" where no text is: keys below the first
    level come from the command line as text. Without ``fill`` absent keys stay absent, as below
    names that the user chooses (variants), which only override what is set elsewhere.
    """
    kinds = {kind for part in (schema, *schema.get("anyOf", [])) for kind in types(part)}
    if isinstance(value, str) and kinds and "string" not in kinds:
        meant = yaml.safe_load(value)
        value = meant if isinstance(meant, int | float | None) else value
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        return int(value)
    if not isinstance(value, Mapping):
        return value
    filled = dict(value)
    known = schema.get("properties", {})
    for key, part in known.items():
        if fill and key not in filled and ("default" in part or "properties" in part):
            filled[key] = part.get("default", {})
        if key in filled:
            filled[key] = with_defaults(filled[key], part, fill)
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping):
        for key in filled.keys() - known.keys():
            filled[key] = with_defaults(filled[key], others, fill=False)
    return filled


def lines(error: ValidationError) -> Iterator[str]:
    """A schema violation in the words of the user's file: key, what was found, what is allowed."""
    where = ".".join(map(str, error.absolute_path))
    inner = [part for part in error.context or [] if part.relative_path]
    if inner:  # one of several forms is meant, and something inside it is wrong
        for part in inner:
            yield from lines(part)
    elif error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in sorted(set(map(str, error.instance)) - set(known)):
            yield f"config: {joined(where, key)} is unknown; {advice(key, known, where)}"
    elif "propertyNames" in error.absolute_schema_path:
        yield f"config: {joined(where, str(error.instance))} is no fit name; use a-z, 0-9 and _"
    elif "enum" in error.schema and isinstance(error.instance, str):
        near = advice(error.instance, list(map(str, error.schema["enum"])), "")
        yield f"config: {where} is {shown(error.instance)}; {near}"
    else:
        yield f"config: {where} is {shown(error.instance)}; expected {allowed(error.schema)}"


def advice(key: str, known: list[str], where: str) -> str:
    """The known name nearest to a misspelt one, or all that are known there."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {joined(where, near[0])}?"
    return "known here: " + ", ".join(known)


def joined(where: str, key: str) -> str:
    """Dotted name of a key below ``where``."""
    return f"{where}.{key}" if where else key


def shown(value: Any) -> str:
    """A value as the user wrote it, shortened."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value):
        return f'"{value}" (YAML reads this as text; write a point, as in 1.0e-3)'
    text = f'"{value}"' if isinstance(value, str) else on_one_line(value)
    return text if len(text) <= 60 else text[:57] + "..."


def on_one_line(value: Any) -> str:
    """A value as one line of YAML."""
    if value in ({}, []):
        return "{}" if value == {} else "[]"
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def types(schema: Schema) -> list[str]:
    """The JSON types that a part of the schema names."""
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def allowed(schema: Schema) -> str:
    """What a part of the schema allows, as words."""
    choices = schema.get("anyOf")
    if choices:
        return ", or ".join(allowed(choice) for choice in choices)
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return "one of " + ", ".join(on_one_line(choice) for choice in schema["enum"])
    words = " or ".join(TYPES[kind] for kind in types(schema) if kind != "null")
    ranges = [
        form.format(on_one_line(schema[key])) for key, form in RANGES.items() if key in schema
    ]
    entries = [f"each {allowed(schema['items'])}"] if "items" in schema else []
    text = " ".join(part for part in (words, " ".join(ranges), schema.get("x-pattern")) if part)
    text = ", ".join([text, *entries]) if text else ""
    if "null" in types(schema):
        return f"{text}, or null" if text else "null"
    return text


def merged(base: Mapping[str, Any], over: Mapping[str, Any] | None) -> dict[str, Any]:
    """``base`` with the keys of ``over`` laid over it, table by table."""
    result = dict(base)
    for key, value in (over or {}).items():
        deeper = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if deeper else value
    return result


def variants(system: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A system's variants by name, each laid over the system's own settings.

    Those that are null are left out; a ConfigError is raised if none remains.
    """
    base = {key: value for key, value in system.items() if key not in ("variants", "ablations")}
    found = {name: merged(base, own) for name, own in system["variants"].items() if own is not None}
    if not found:
        raise ConfigError("config: all variants are null; expected at least one to be a table.")
    return found


def ablations(system: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A system's ablations by name, each laid over its first variant; null ones are left out."""
    known = variants(system)
    given = {name: own for name, own in system["ablations"].items() if own is not None}
    if both := sorted(set(known) & set(given)):
        raise ConfigError(
            f"config: {', '.join(both)} is a variant and an ablation; give one another name."
        )
    first = next(iter(known.values()))
    return {name: merged(first, own) for name, own in given.items()}


def chosen(people: Sequence[str], wanted: int | Sequence[Any] | None, key: str) -> list[str]:
    """The people that ``wanted`` means: the first so many, those named, or all (None)."""
    if wanted is None or isinstance(wanted, int):
        return list(people[:wanted])
    names = [str(name) for name in wanted]
    unknown = [name for name in names if name not in people]
    if unknown:
        raise ConfigError(
            f"config: {key} names {', '.join(unknown)}, not among the {len(people)} people of the "
            f"run; {advice(unknown[0], list(people)[:20], '')}"
        )
    return [name for name in people if name in names]


def as_page(schema: Schema) -> str:
    """The schema as a Markdown page: one table of keys for each part of the configuration."""
    return PAGE_HEAD + "\n".join(page_sections(schema, "")) + "\n"


def page_sections(schema: Schema, where: str) -> Iterator[str]:
    """Lines of the page for one table of keys and, after it, for the tables below it."""
    parts = schema["properties"]
    tables = {key: part for key, part in parts.items() if "properties" in part}
    yield from [f"## `{where}`", "", schema["description"], ""] if where else []
    if len(parts) > len(tables):
        yield from ["| key | default | allowed | what |", "| --- | --- | --- | --- |"]
        for key, part in parts.items():
            if key not in tables:
                cells = [f"`{joined(where, key)}`", f"`{on_one_line(part['default'])}`"]
                cells += [allowed(part), part["description"]]
                yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        yield ""
    for key, part in tables.items():
        yield from page_sections(part, joined(where, key))
