"""The errors that a user can cause and mend.

Every message names the file or key, what was found, what was expected, and the way out. Commands
print the message alone; anything that is not a ``FacemillError`` is a bug and keeps its traceback.
"""


class FacemillError(Exception):
    """Base of all errors that say what the user can do about them."""


class ConfigError(FacemillError):
    """A key of the configuration is unknown, of the wrong type or out of range."""


class DataError(FacemillError):
    """An input file is missing, unreadable, of another layout or contradicts another one."""


class GeometryError(FacemillError):
    """A mesh, point set or transform cannot serve the step that asked for it."""


class TrainingError(FacemillError):
    """Training or fitting cannot start, go on or be resumed."""
