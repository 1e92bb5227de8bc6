"""facemill: neural 3D faces from FaceScape meshes, five published systems in one workflow.

The library knows nothing of the workflow engine: every function takes paths, arrays or dataclasses
and can be used from a notebook. ``docs/architecture.md`` is the map of its rooms.
"""

__version__ = "0.1.0"
