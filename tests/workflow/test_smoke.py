"""The smoke preset from raw meshes to the report, run once and looked at from all sides."""

import csv
import json
import re

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1200)]

CONFIG = ("--configfile", "config/smoke.yaml")
FIGURES = (
    "data_sheet",
    "mesh_figure",
    "views_sheet",
    "imface_reconstruction",
    "imface_interpolation",
    "imface_expressions",
    "imface_transfer",
    "imface_correspondence_colours",
    "imface_texture_transfer",
    "imface_random",
    "imface_curves",
    "mofanerf_novel_views",
    "mofanerf_fit_figure",
    "mofanerf_interpolation",
    "mofanerf_random_faces",
    "mofanerf_rigging",
    "mofanerf_fit_photo",
    "mofanerf_refine_figure",
    "nfs_retarget_figure",
    "nfs_error_maps",
    "nfs_rig_sheet",
    "nfs_segments_figure",
)


def test_the_run_ends_well(smoke_run):
    _, answer = smoke_run
    assert answer.returncode == 0, answer.stdout[-6000:]


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_a_picture(smoke, figure):
    picture = smoke.results() / "figures" / f"{figure}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_curves_are_there_as_vectors_too(smoke):
    assert (smoke.results() / "figures/imface_curves.pdf").read_bytes().startswith(b"%PDF")


def test_tables_are_tidy_and_hold_all_methods_and_splits(smoke):
    for name in ("imface", "compare"):
        with open(smoke.results() / "tables" / f"{name}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["system", "method", "split", "metric", "unit", "value", "n"]
        assert {"se3", "pca", "bilinear", "nearest", "mean"} <= {row["method"] for row in rows}
        assert {"seen", "unseen"} <= {row["split"].split()[-2] for row in rows}
        assert all(float(row["value"]) == float(row["value"]) for row in rows)


def test_mofanerf_s_head_turns_and_is_a_mesh(smoke):
    assert (smoke.results() / "figures/mofanerf_turntable.gif").read_bytes().startswith(b"GIF89a")
    assert (smoke.results() / "mofanerf/mesh/face.ply").read_bytes().startswith(b"ply\n")


def test_mofanerf_is_measured_beside_its_baselines(smoke):
    with open(smoke.results() / "tables/mofanerf.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    masked = [row for row in rows if row["metric"] == "psnr_masked"]
    methods = {"fast", "mean_face", "nearest_view", "textured_mesh"}
    methods |= {"fast_half_size", "fast_refined", "fast_fitted", "fast_mean_codes"}
    assert {row["method"] for row in masked} == methods
    assert {row["split"] for row in masked} == {
        "training people, held-out views",
        "unseen people",
        "unseen people, novel views from one image",
    }
    assert all(5 < float(row["value"]) < 60 for row in masked)
    cost = {row["metric"]: float(row["value"]) for row in rows if row["method"] == "fast"}
    published = next(float(row["value"]) for row in rows if row["method"] == "published")
    assert cost["evaluations_saved"] > 10 and published > 100 * cost["frame_gmac"]


def test_nfs_is_measured_beside_its_baselines(smoke):
    with open(smoke.results() / "tables/nfs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    errors = [row for row in rows if row["metric"] == "vertex_rms_inner"]
    transfers = {"nearest_point_transfer", "known_transfer"}
    assert {row["method"] for row in errors} == {
        "new2",
        "copy_neutral",
        "blendshape_oracle",
        *transfers,
    }
    assert {row["split"].split(",")[0] for row in errors} >= {"cycle", "drawn test people"}
    assert "PDB" in (smoke.results() / "tables/nfs.md").read_text()
    assert {row["unit"] for row in errors} == {"mm"}
    assert all(0 <= float(row["value"]) < 30 for row in errors)


def test_people_and_intervals_hold_the_same_means(smoke):
    def means(name):
        with open(smoke.results() / "tables" / f"{name}.csv", newline="") as file:
            return list(csv.DictReader(file))

    key = ("method", "split", "metric")
    spans = {tuple(row[k] for k in key): row for row in means("imface_intervals")}
    for row in means("imface"):
        assert float(spans[tuple(row[k] for k in key)]["value"]) == pytest.approx(
            float(row["value"]), abs=2e-6
        )
    assert {"se3 - pca", "bilinear - pca"} <= {method for method, _, _ in spans}
    assert len({row["person"] for row in means("imface_people")}) == 2


def test_the_index_keeps_test_people_out_of_training(smoke):
    split = json.loads((smoke.results() / "index.json").read_text())["split"]
    assert split["train"] and split["test"]
    assert not set(split["train"]) & set(split["test"])


def test_the_report_holds_everything_and_asks_nobody(smoke):
    page = (smoke.results() / "report.html").read_text(encoding="utf-8")
    for figure in FIGURES:
        assert f"id='{figure}'" in page
    assert page.count("data:image/png;base64,") == len(FIGURES)
    assert "point to surface mean" in page
    for title in ("All methods", "ImFace: intervals over people", "ImFace: person by person"):
        assert title in page
    assert "<iframe" in page
    outside = re.findall(r"(?:src|href)=['\"](?!data:|#)([^'\"]+)", page.split("srcdoc=")[0])
    assert not outside


def test_each_stage_left_its_log_and_its_benchmark(smoke):
    for stage in ("mesh_prepare", "sdf_sample", "views_render", "imface_train", "mofanerf_train"):
        logs = list((smoke.folder / "logs/smoke" / stage).rglob("*.log"))
        benchmarks = list((smoke.results() / "benchmarks" / stage).rglob("*.jsonl"))
        assert logs and len(logs) == len(benchmarks)


def test_no_unfinished_work_and_no_half_file_is_left(smoke):
    assert not [path for path in (smoke.folder / "work").rglob("*") if path.is_file()]
    assert not list(smoke.folder.rglob("*.part-*"))


def test_a_second_run_has_nothing_to_do(smoke):
    answer = smoke.snakemake("--cores", 2, "all", *CONFIG)
    assert answer.returncode == 0
    assert "Nothing to be done" in answer.stdout


def test_more_fitting_steps_make_no_training_again(smoke):
    answer = smoke.snakemake("-n", "all", *CONFIG, "--config", "imface={fit: {steps: 21}}")
    assert "\nimface_fit " in answer.stdout
    assert "\nimface_train " not in answer.stdout
    assert "\nmesh_prepare " not in answer.stdout


def test_another_name_keeps_its_own_results(smoke):
    answer = smoke.snakemake("-n", "all", *CONFIG, "--config", "name=other")
    assert "results/other/report.html" in answer.stdout
    assert "results/smoke" not in answer.stdout


def test_snakemake_makes_its_report(smoke):
    answer = smoke.snakemake("--report", "page.html", *CONFIG)
    assert answer.returncode == 0, answer.stdout
    page = (smoke.folder / "page.html").read_text(encoding="utf-8")
    for word in ("imface_curves", "viewer.html", "compare.csv", "data_sheet"):
        assert word in page
