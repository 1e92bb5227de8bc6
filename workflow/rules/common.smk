# The checked configuration, who is in the run, code hashes, paths: what all other files use.
import json
import os
import shutil
import sys
from pathlib import Path

from facemill import configuration, provenance
from facemill.data import ict, inputs, multiview, sources, splits, tree
from facemill.errors import FacemillError

ROOT = Path(workflow.basedir)
# Jobs use the Python that runs Snakemake; a conda environment, where one is used, comes before it.
os.environ.update(
    PATH=f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
)

try:
    schema = configuration.load_schema(ROOT / "workflow/schemas/config.schema.yaml")
    config.update(configuration.checked(config, schema))
    KIND, NAME = sources.kind(config), sources.results_name(config)
    EXPRESSIONS = sources.expressions(config)
    SPLIT = splits.make_split(
        sources.people(config), EXPRESSIONS, config["split"], config["seed"]
    )
    PEOPLE, TRAIN, TEST = SPLIT.people, list(SPLIT.train), list(SPLIT.test)
    VIEW_PEOPLE = configuration.chosen(
        PEOPLE, config["views"]["people"], "views.people"
    )
    MULTIVIEW = multiview.scan_folders(config["mofanerf"]["raw_scans"], VIEW_PEOPLE)
    VARIANTS = list(configuration.variants(config["imface"]))
    ABLATIONS = list(configuration.ablations(config["imface"]))
    FIT_ONE, FIT_ONE_VARIANT = config["fit_one"], inputs.variant(config, VARIANTS)
    FETCHED_MODEL = inputs.fetched_model(config)
    RAW_SCANS = inputs.raw_scans(config["input"], FIT_ONE["landmarks"])
    PHOTO = inputs.photo(config)
    RESULTS, WORK, TREE = f"results/{NAME}", f"work/{NAME}", str(sources.tree(config))
except FacemillError as error:
    sys.exit(f"error: {error}")
BASELINES = ["pca", "bilinear", "nearest", "mean"]
# Shape codes need meshes of one topology and a texture each, which a folder of scans rarely has.
# Landmarks, which all systems but NFS hang on, are not known of Multiface.
SYSTEMS = {"folder": ["imface"], "multiface": ["nfs"]}.get(
    KIND, ["imface", "mofanerf", "nfs"]
)


def gpu(wildcards):
    """One GPU for a job where there are any, here or behind a batch system; else jobs share the CPU."""
    return int(workflow.non_local_exec or shutil.which("nvidia-smi") is not None)


def launched(processes):
    """How a training is started: by itself, or as several processes that share its steps."""
    several = ["-m", "torch.distributed.run", "--standalone"]
    several += ["--nproc-per-node", str(processes)]
    return ["python", *(several if processes > 1 else [])]


# A stage is made again when its code changes: script name -> hash over script and library modules.
CODE = provenance.code_hashes(
    sorted((ROOT / "workflow/scripts").glob("*.py")),
    Path(".snakemake/code_hashes.json"),
)


def settings(*keys, **more):
    """Keys of the configuration (and more values) as one line of JSON, for --settings."""
    return json.dumps({key: config[key] for key in keys} | more, sort_keys=True)


# Deterministic preprocessing can be shared between runs (docs/workflow.md); Snakemake then compares
# contents of input files, not folders, and refuses to take benchmarks of what it may find done.
CACHE = "SNAKEMAKE_OUTPUT_CACHE" in os.environ


def scans(wildcards):
    """What one person's jobs depend on: the folder, or its meshes where contents are compared."""
    if KIND == "multiface":
        return inputs.NFS_ALONE
    folder = f"{TREE}/{wildcards.person}"
    if CACHE and KIND == "facescape":
        return [f"{folder}/{scan.mesh}" for scan in tree.scans_in(folder).values()]
    return folder


# What views are rendered of: the registered meshes, or raw scans where the config names them.
VIEWED = f"{RESULTS}/mofanerf/aligned" if MULTIVIEW else f"{RESULTS}/faces"


def viewed_scans(wildcards):
    """What one person's views depend on besides the pack: the files that hold the textures."""
    return str(MULTIVIEW[wildcards.person]) if MULTIVIEW else scans(wildcards)


# Everybody's face packs, as NFS reads them.
NFS_FACES = f"{RESULTS}/nfs/faces" if KIND == "multiface" else f"{RESULTS}/faces"
MESHES = "resources/meshes"


def mesh_source(wildcards):
    """The face pack of a person of the run, or the file of a mesh in resources/meshes."""
    if wildcards.mesh in PEOPLE:
        return f"{NFS_FACES}/{wildcards.mesh}.npz"
    files = [
        Path(MESHES) / f"{wildcards.mesh}{end}" for end in (".obj", ".ply", ".glb")
    ]
    return str(next((path for path in files if path.is_file()), files[0]))


def mesh_landmarks(wildcards):
    """Its landmarks, where they lie beside a mesh of the user's."""
    path = Path(MESHES) / f"{wildcards.mesh}.landmarks.txt"
    return [str(path)] if wildcards.mesh not in PEOPLE and path.is_file() else []


def mesh_settings(wildcards):
    """Meshes that are learnt from may be coarser than those that are shown."""
    own = config["nfs"]["operators"]
    coarse = wildcards.mesh in NFS_UNLABELLED
    return json.dumps(own if coarse else own | {"vertices": None})


pathvars:
    results=RESULTS,
    logs=f"logs/{NAME}",
    benchmarks=f"{RESULTS}/benchmarks",
    tree=TREE,


wildcard_constraints:
    person=r"[^/]+",
    variant="|".join(VARIANTS + ABLATIONS),
    method="|".join(BASELINES),
