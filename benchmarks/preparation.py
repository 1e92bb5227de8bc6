"""Seconds and errors of preparing and sampling a scan: ImFace's own way against ours.

    pip install scikit-learn
    python benchmarks/preparation.py [--heads demo ict] [--ict-model FOLDER] [--repeats 3]

235 000 surface and 15 000 free points, files written. Seconds are processor seconds of one core, so
that other work on the machine counts little. The two ways take turns on the same head in the same
process; the median counts. Errors are those of the free points' distances against every triangle
tried in double precision, and of their signs against the height of the sheet.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SURFACE, FREE = 235_000, 15_000


def head(kind: str, ict_model: str):
    """A head in the face frame with its landmarks."""
    from facemill.mesh.frames import nose_tip_similarity
    from facemill.mesh.surface import Mesh

    expression = "2_smile"
    if kind == "demo":
        from facemill.data import demo

        topology, vertices = demo.topology(), demo.head("d001", expression, 0)
    else:
        from facemill.data import ict

        model, table = ict.load_model(ict_model), ict.load_expressions(ict_model)
        topology = ict.topology(model)
        vertices = ict.person_vertices(model, table, "i001", [expression], 0.8, 0)[expression]
    landmarks = vertices[topology.landmarks]
    to_face = nose_tip_similarity(landmarks[30])
    return Mesh(to_face.apply(vertices), topology.faces), to_face.apply(landmarks)


class Clock:
    """Seconds by step, over all repeats."""

    def __init__(self):
        self.seconds: dict[str, list[float]] = {}

    def step(self, name: str, work):
        start = time.process_time()
        result = work()
        self.seconds.setdefault(name, []).append(time.process_time() - start)
        return result

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])


def ours(mesh, landmarks, clock: Clock, folder: Path):
    """Crop, sheet, closed head, face pack, samples, sample pack."""
    import numpy as np

    from facemill.data.packs import PreparedScan, write_face_pack, write_sample_pack
    from facemill.mesh.closing import close_head
    from facemill.mesh.crop import crop_to_sphere
    from facemill.mesh.frames import Similarity
    from facemill.mesh.samples import SampleSettings, sample_sheet
    from facemill.mesh.sheet import height_sheet
    from facemill.mesh.visibility import visible_part

    cropped = clock.step("crop", lambda: crop_to_sphere(mesh, np.zeros(3), 100.0))
    seen = clock.step("hidden parts", lambda: visible_part(cropped))
    sheet = clock.step("sheet", lambda: height_sheet(seen.vertices))
    settings, rng = SampleSettings(SURFACE, FREE), np.random.default_rng(0)
    rows = clock.step("samples", lambda: sample_sheet(sheet, landmarks, settings, rng))

    def write():
        scan = PreparedScan(mesh, landmarks, sheet, closed, Similarity())
        write_face_pack(folder / "faces.npz", {"1_neutral": scan})
        manifest = {
            "expressions": ["1_neutral"],
            "surface_points": SURFACE,
            "free_points": FREE,
            "landmarks": {"1_neutral": landmarks.tolist()},
        }
        write_sample_pack(folder / "samples.npy", manifest, [rows])

    closed = clock.step("closed head", lambda: close_head(mesh, "head"))
    clock.step("files", write)
    free = rows[rows[:, 6] != 0].astype(np.float64)
    return sheet, free[:, :3], free[:, 6]


def plain(mesh, clock: Clock, folder: Path, free):
    """The original's steps on the same free points."""
    import numpy as np
    import plain_preparation

    cropped = clock.step("crop", lambda: plain_preparation.crop(mesh))
    sheet = clock.step("hidden parts and sheet", lambda: plain_preparation.sheet(cropped))
    points, normals = clock.step("samples", lambda: plain_preparation.cloud(sheet))
    rng = np.random.default_rng(0)
    rows, distance, gradient = clock.step(
        "samples from cloud",
        lambda: plain_preparation.sample(points, normals, SURFACE, free, rng),
    )

    def write():
        np.save(folder / "1_surf_pcl.npy", rows[:, :3].astype(np.float32))
        np.save(folder / "1_surf_nor.npy", rows[:, 3:])
        np.save(folder / "1_free_pcl.npy", free.astype(np.float32))
        np.save(folder / "1_free_sdf.npy", distance.astype(np.float32))
        np.save(folder / "1_free_grd.npy", gradient)

    clock.step("files", write)
    return sheet, distance


def errors(sheet, free, distance) -> tuple[float, float, int]:
    """Mean and worst error of |distance|, mm, and wrong signs over the hull."""
    import numpy as np
    from shapes import brute_force_distance

    from facemill.mesh.sheet import height

    error = np.abs(np.abs(distance) - brute_force_distance(free, sheet))
    above = free[:, 2] - height(sheet, free[:, :2])
    over = ~np.isnan(above)
    wrong = ((distance > 0) != (above > 0))[over]
    return float(error.mean()), float(error.max()), int(wrong.sum())


def main(args: argparse.Namespace) -> None:
    for library in ("OMP", "OPENBLAS", "MKL"):  # read when the libraries load, which is below
        os.environ[f"{library}_NUM_THREADS"] = "1"
    sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "mesh")]
    for kind in args.heads:
        mesh, landmarks = head(kind, args.ict_model)
        fast, slow = Clock(), Clock()
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(args.repeats):
                sheet, free, distance = ours(mesh, landmarks, fast, Path(folder))
                plain_sheet, plain_distance = plain(mesh, slow, Path(folder), free)
        report(kind, mesh, fast, slow)
        print(
            "| distances of free points | mean error, mm | worst, mm | wrong signs over the hull |"
        )
        print("| --- | --- | --- | --- |")
        for name, result in (
            ("ImFace's way", errors(plain_sheet, free, plain_distance)),
            ("ours", errors(sheet, free, distance)),
        ):
            print(f"| {name} | {result[0]:.2g} | {result[1]:.2g} | {result[2]} of {FREE} |")
        print()


def report(kind: str, mesh, fast: Clock, slow: Clock) -> None:
    """The table of seconds by step."""
    print(f"\n{kind} head: {len(mesh.vertices)} vertices, {len(mesh.faces)} faces\n")
    rows = [
        ("crop", slow.median("crop"), fast.median("crop")),
        (
            "hidden parts and sheet",
            slow.median("hidden parts and sheet"),
            fast.median("hidden parts") + fast.median("sheet"),
        ),
        (
            "samples",
            slow.median("samples") + slow.median("samples from cloud"),
            fast.median("samples"),
        ),
        ("files", slow.median("files"), fast.median("files")),
    ]
    total = [sum(row[column] for row in rows) for column in (1, 2)]
    print("| step, seconds | ImFace's way | ours | ratio |\n| --- | --- | --- | --- |")
    for name, before, after in (*rows, ("all of these", *total)):
        print(f"| {name} | {before:.2f} | {after:.3f} | {before / after:.0f} |")
    print(f"| closed head (ours only) | | {fast.median('closed head'):.3f} | |\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--heads", nargs="+", choices=("demo", "ict"), default=["demo"])
    parser.add_argument("--ict-model", default="resources/ict/model", help="packed ICT model")
    parser.add_argument("--repeats", type=int, default=3)
    main(parser.parse_args())
