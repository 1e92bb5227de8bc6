"""What can be said without running a job: style, graph, size, errors before any work."""

import resource
import sys

import pytest
import yaml

from facemill.data.expressions import EXPRESSIONS

pytestmark = pytest.mark.workflow


def test_lint_finds_nothing(fresh_project):
    answer = fresh_project.snakemake("--lint")
    assert answer.returncode == 0, answer.stdout


def test_rule_files_are_formatted(repository):
    import subprocess

    files = ["Snakefile", "workflow/rules"]
    command = [sys.executable, "-m", "snakefmt", "--check", *files]
    answer = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("preset", [None, "smoke"])
def test_a_preset_plans_every_stage(fresh_project, preset):
    extra = ["--configfile", f"config/{preset}.yaml"] if preset else []
    answer = fresh_project.snakemake("-n", "all", *extra)
    assert answer.returncode == 0, answer.stdout
    for rule in ("data_person", "mesh_prepare", "sdf_sample", "views_render", "imface_train"):
        assert f"\n{rule} " in answer.stdout
    for rule in (
        "imface_fit",
        "imface_table",
        "imface_reconstruction",
        "viewer",
        "report",
        "mofanerf_train",
        "mofanerf_refine_train",
        "mofanerf_refine_evaluate",
        "mofanerf_refine_figure",
    ):
        assert f"\n{rule} " in answer.stdout


def test_the_ict_preset_fetches_the_model_or_takes_a_packed_copy(fresh_project, open_data):
    preset = ["-n", "all", "--configfile", "config/ict.yaml"]
    assert "\nict_fetch " in fresh_project.snakemake(*preset).stdout
    copy = fresh_project.snakemake(*preset, "--config", f"ict_model={open_data / 'ict'}")
    assert copy.returncode == 0, copy.stdout
    assert "\nict_fetch " not in copy.stdout


@pytest.mark.parametrize(
    "target",
    [
        "imface_table",
        "imface_people",
        "imface_intervals",
        "imface_interpolation",
        "mofanerf_table",
        "mofanerf_novel_views",
        "mofanerf_fit_figure",
        "mofanerf_mesh",
        "mofanerf_fit_photo",
        "mofanerf_refine_figure",
        "nfs_table",
        "nfs_retarget_figure",
        "nfs_error_maps",
        "nfs_rig_sheet",
        "nfs_segments_figure",
        "data_sheet",
        "viewer",
        "prepare",
    ],
)
def test_a_figure_or_table_is_a_target_by_its_name(fresh_project, target):
    answer = fresh_project.snakemake("-n", target)
    assert answer.returncode == 0, answer.stdout
    assert "\nreport " not in answer.stdout


def test_refinement_can_be_left_out(fresh_project):
    answer = fresh_project.snakemake("-n", "all", "--config", "mofanerf={refine: null}")
    assert answer.returncode == 0, answer.stdout
    assert "mofanerf_refine" not in answer.stdout
    assert "\nmofanerf_train " in answer.stdout


def test_weights_for_the_perceptual_term_are_missed_before_any_work(fresh_project):
    settings = "mofanerf={refine: {train: {vgg: absent.pth, vgg_sha256: '0'}}}"
    answer = fresh_project.snakemake("-n", "mofanerf_refine_figure", "--config", settings)
    assert answer.returncode == 1 and "absent.pth" in answer.stdout


def test_operators_of_any_mesh_are_a_target(fresh_project):
    meshes = fresh_project.folder / "resources/meshes"
    meshes.mkdir(parents=True)
    (meshes / "Ana Lena.ply").write_text("x")
    (meshes / "Ana Lena.landmarks.txt").write_text("x")
    answer = fresh_project.snakemake("-n", "results/demo/operators/Ana Lena.npz")
    assert answer.returncode == 0, answer.stdout
    assert "Ana Lena.landmarks.txt" in answer.stdout and "\nnfs_data " in answer.stdout
    assert "\nmesh_prepare " not in answer.stdout
    missing = fresh_project.snakemake("-n", "results/demo/operators/nobody.npz")
    assert missing.returncode != 0 and "resources/meshes/nobody.obj" in missing.stdout


def test_a_scan_of_one_s_own_is_a_target_with_its_file_as_input(fresh_project):
    (fresh_project.folder / "mein Kopf.ply").write_text("x")
    answer = fresh_project.snakemake("-n", "imface_fit_one", "--config", "input=mein Kopf.ply")
    assert answer.returncode == 0, answer.stdout
    assert "\nimface_train " in answer.stdout, "the model is made if it is not there"
    assert "imface/fit_one/mein Kopf/mesh.ply" in answer.stdout
    (fresh_project.folder / "weights.safetensors").write_text("x")
    own = ("input=[mein Kopf.ply]", "fit_one={model: weights.safetensors}")
    answer = fresh_project.snakemake("-n", "imface_fit_one", "--config", *own)
    assert answer.returncode == 0, answer.stdout
    assert "\nimface_train " not in answer.stdout


def test_weights_behind_an_address_are_fetched_by_their_sum(fresh_project):
    (fresh_project.folder / "head.ply").write_text("x")
    own = "fit_one={model: 'https://example.org/w.safetensors', model_sha256: " + 64 * "a" + "}"
    answer = fresh_project.snakemake("-n", "imface_fit_one", "--config", "input=head.ply", own)
    assert answer.returncode == 0, answer.stdout
    assert "\nimface_train " not in answer.stdout
    assert f"output: resources/imface/{64 * 'a'}.safetensors" in answer.stdout


def test_a_fit_without_a_scan_says_how_to_name_one(fresh_project):
    answer = fresh_project.snakemake("-n", "imface_fit_one")
    assert answer.returncode == 1 and "Traceback" not in answer.stdout
    assert "input is null; name the scan to fit: --config input=head.ply" in answer.stdout


@pytest.mark.parametrize("system", ["imface", "mofanerf"])
def test_a_training_by_several_processes_is_started_by_torchrun(fresh_project, system):
    variant = {"imface": "se3", "mofanerf": "fast"}[system]
    target = ("-n", "-p", f"results/demo/{system}/{variant}/model.safetensors")
    answer = fresh_project.snakemake(*target, "--config", f"{system}={{processes: 2}}")
    assert answer.returncode == 0, answer.stdout
    start = "python -m torch.distributed.run --standalone --nproc-per-node 2 workflow/scripts/"
    assert f"{start}{system}_train.py" in answer.stdout
    alone = fresh_project.snakemake(*target).stdout
    assert f"python workflow/scripts/{system}_train.py" in alone


def test_raw_scans_are_aligned_and_rendered_where_the_config_names_them(fresh_project):
    for number in ("17", "18"):
        (fresh_project.folder / "raw" / number).mkdir(parents=True)
    (fresh_project.folder / "numbers.csv").write_text("person,scans\nd001,18\nd002,17\n")
    named = "mofanerf={raw_scans: {folder: raw, numbering: numbers.csv}}"
    more = ("--config", named, "views={people: 2}")
    target = ("-n", "results/demo/views/d001.zip")
    answer = fresh_project.snakemake(*target, *more)
    assert answer.returncode == 0, answer.stdout
    assert "\nmofanerf_align " in answer.stdout
    assert "--scans raw/18 " in fresh_project.snakemake(*target, "-p", *more).stdout
    assert "\nmofanerf_align " not in fresh_project.snakemake(*target).stdout
    line = refused(fresh_project, "--config", named, "views={people: 3}")
    assert "holds no folder d003 for person d003" in line


@pytest.fixture
def take(fresh_project):
    """A folder of two empty meshes, a target and a table of weights."""
    folder = fresh_project.folder / "mein Take"
    folder.mkdir(exist_ok=True)
    for name in ("neutral.obj", "smile.obj", "../bust.ply", "../w.csv"):
        (folder / name).write_text("x")
    return ("source=mein Take", "target=bust.ply", "weights=w.csv")


def test_meshes_of_one_s_own_are_cloned_and_driven(fresh_project, take):
    targets = ("nfs_retarget_one", "nfs_rig", "nfs_inverse_rig")
    answer = fresh_project.snakemake("-n", *targets, "--config", *take)
    assert answer.returncode == 0, answer.stdout
    assert "\nnfs_train " in answer.stdout, "the model is made if it is not there"
    assert "nfs/retarget/mein Take/bust/animation.glb" in answer.stdout
    assert "nfs/rig/w/bust/rig.glb" in answer.stdout


@pytest.fixture
def multiface(fresh_project):
    """Arguments for three entities, of which two are those kept out of training."""
    entities = ("20180227--0000--6795937", "20190529--1300--002421669", "20190828--1318--002645310")
    for entity in entities:
        take = f"entités/m--{entity}--GHS/tracked_mesh/E001_Neutral_Eyes_Open"
        (fresh_project.folder / take).mkdir(parents=True, exist_ok=True)
    preset = ("--configfile", "config/multiface.yaml")
    return (*preset, "--config", "multiface={root: entités}")


def test_multiface_s_people_are_learnt_from_beside_those_of_the_ict_model(fresh_project, multiface):
    answer = fresh_project.snakemake("-n", "-p", "nfs_table", *multiface)
    assert answer.returncode == 0, answer.stdout
    assert "\nict_fetch " in answer.stdout and "\nmesh_prepare " not in answer.stdout
    assert "--unlabelled m--20180227--0000--6795937--GHS --settings" in answer.stdout
    scanned = "m--20190529--1300--002421669--GHS m--20190828--1318--002645310--GHS"
    assert f"--scanned {scanned} --operators" in answer.stdout
    assert "output: entités" not in answer.stdout, "the user's folder is read only"


@pytest.mark.parametrize("target", ["all", "imface_table", "mofanerf_table", "data_sheet"])
def test_multiface_serves_nfs_alone_and_says_so(fresh_project, multiface, target):
    answer = fresh_project.snakemake("-n", target, *multiface)
    assert answer.returncode == 1 and "Traceback" not in answer.stdout
    assert "dataset: multiface serves NFS alone, since no landmarks are known" in answer.stdout


def test_without_meshes_it_is_said_how_to_name_them(fresh_project):
    answer = fresh_project.snakemake("-n", "nfs_retarget_one")
    assert answer.returncode == 1 and "Traceback" not in answer.stdout
    assert "source is null; name a folder of expressions" in answer.stdout
    assert "target is null; name the mesh to be moved" in answer.stdout


def test_a_figure_is_a_target_by_its_file(fresh_project):
    answer = fresh_project.snakemake("-n", "results/demo/figures/imface_curves.png")
    assert answer.returncode == 0, answer.stdout


@pytest.fixture(scope="module")
def facescape_tree(tmp_path_factory):
    """847 people with 20 expressions each, of empty files."""
    root = tmp_path_factory.mktemp("facescape") / "TU"
    for person in range(1, 848):
        folder = root / str(person) / "models_reg"
        folder.mkdir(parents=True)
        for expression in EXPRESSIONS:
            (folder / f"{expression}.obj").touch()
            (folder / f"{expression}.jpg").touch()
    return root


@pytest.mark.parametrize("split", ["imface", "100"])
def test_the_full_data_set_is_planned_quickly(fresh_project, facescape_tree, split):
    settings = f"split={{test_people: {split}, unseen_expressions: imface}}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    answer = fresh_project.snakemake(
        "-n", "all", "--quiet", "--configfile", "config/facescape.yaml",
        "--config", f"facescape_root={facescape_tree}", settings,
    )  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answer.returncode == 0, answer.stdout
    # About 6 s and 0.2 GB on an idle machine; the limits leave room for a busy one.
    assert used.ru_utime - before < 60
    assert used.ru_maxrss < 1_000_000


def refused(project, *arguments) -> str:
    """The one line that a wrong configuration ends in, before any job is planned."""
    answer = project.snakemake("-n", "all", *arguments)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stdout
    assert "Job stats" not in answer.stdout
    lines = [line for line in answer.stdout.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, answer.stdout
    return lines[0]


def test_an_unknown_key_is_refused_with_the_nearest_known(fresh_project, tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"imface": {"trian": {"steps": 5}}}))
    line = refused(fresh_project, "--configfile", tmp_path / "mine.yaml")
    assert line == "error: config: imface.trian is unknown; did you mean imface.train?"


def test_a_value_out_of_range_is_refused_with_what_is_allowed(fresh_project):
    line = refused(fresh_project, "--config", "max_failed_scans=-1")
    assert line == "error: config: max_failed_scans is -1; expected a whole number from 0"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (["dataset=facescape"], "facescape_root"),
        (["dataset=facescape", "facescape_root=no/such/folder"], "facescape_root"),
        (["dataset=multiface"], "multiface.root is not set"),
        (["dataset=multiface", "multiface={root: config}"], "config: holds no entity"),
        (["dataset=dmeo"], "did you mean demo?"),
        (["dataset=ict", "ict_model=no/such/folder"], "ict_model"),
        (["people=3", "split={test_people: 3}"], "split.test_people"),
        (["split={test_people: [d999]}"], "d999"),
        (["split={test_people: [d001, d001]}"], "d001"),
        (["input=absent.ply"], "input: absent.ply"),
        (["fit_one={variant: se4}"], "did you mean se3?"),
        (["fit_one={model: 'https://a.org/w'}"], "give fit_one.model_sha256"),
        (["fit_one={model: w, model_sha256: ab}"], "expected a text of 64 hex digits, or null"),
        (["retarget={variant: new3}"], "did you mean new2?"),
        (["source=absent"], "source: absent"),
        (["target=absent.obj"], "target: absent.obj"),
        (["weights=absent.csv"], "weights: absent.csv"),
    ],
)
def test_what_is_not_there_is_named(fresh_project, settings, word):
    assert word in refused(fresh_project, "--config", *settings)
