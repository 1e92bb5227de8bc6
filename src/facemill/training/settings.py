"""From a plain dictionary of settings to a frozen dataclass, with errors that name the key."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from facemill.errors import ConfigError

T = TypeVar("T")


def from_settings(cls: type[T], settings: Any, key: str) -> T:
    """Build the dataclass ``cls``; ``key`` is where the settings stand in the configuration.

    Nested dataclasses are built from nested dictionaries, lists become tuples, whole numbers are
    accepted for floats (and 72.0 for 72). Raises ConfigError for an unknown name (with the nearest
    known one), a wrong type, or whatever the dataclass's own check refuses.
    """
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{key}: found {settings!r}, expected a group of keys")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    values = {}
    for name, value in settings.items():
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(names)}"
            raise ConfigError(f"{key}.{name}: unknown key; {hint}")
        values[name] = _converted(hints[name], value, f"{key}.{name}")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{key}.{error}") from None


def to_settings(config: Any) -> dict[str, Any]:
    """The dictionary that :func:`from_settings` reads back, ready for JSON."""
    return dataclasses.asdict(config)


def _converted(hint: Any, value: Any, key: str) -> Any:
    """``value`` as the annotation ``hint`` wants it, or a ConfigError."""
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_settings(hint, value, key)
    if typing.get_origin(hint) is types.UnionType:
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        hint = next(option for option in options if option is not type(None))
    if typing.get_origin(hint) is typing.Literal:
        if value in typing.get_args(hint):
            return value
        known = [str(option) for option in typing.get_args(hint)]
        near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
        way_out = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{key}: found {value!r}, expected one of {', '.join(known)}{way_out}")
    if typing.get_origin(hint) is tuple and isinstance(value, list | tuple):
        inner = typing.get_args(hint)[0]
        return tuple(_converted(inner, item, f"{key}[{i}]") for i, item in enumerate(value))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and number:
        return float(value)
    if hint is int and number and float(value).is_integer():
        return int(value)
    if hint in (bool, str) and isinstance(value, hint):
        return value
    expected = getattr(hint, "__name__", str(hint))
    raise ConfigError(f"{key}: found {value!r}, expected {expected}")
