# What NFS is for: expressions cloned to the user's meshes, meshes driven by weights, its pictures.
#   snakemake nfs_retarget_one --config source=performance target=head.obj
import re

from facemill.data import sequences

try:
    RETARGET = dict(config["retarget"])
    RETARGET_VARIANT = inputs.variant(config, NFS_VARIANTS, "retarget")
    SOURCE = sequences.mesh_sequence(config["source"], RETARGET["neutral"])
    TARGET = sequences.mesh_file(config["target"], "target")
    DRIVEN_BY = sequences.table_file(config["weights"], "weights")
except FacemillError as error:
    sys.exit(f"error: {error}")
RETARGET_MODEL = (
    RETARGET["model"] or f"<results>/nfs/{RETARGET_VARIANT}/model.safetensors"
)
RETARGET_SETTINGS = json.dumps(
    {k: v for k, v in RETARGET.items() if k not in ("model", "variant", "neutral")}
)
SOURCE_NAME = SOURCE.name if SOURCE else "none"
TARGET_NAME = TARGET.stem if TARGET else "none"
WEIGHTS_NAME = DRIVEN_BY.stem if DRIVEN_BY else "none"
# Their operators are filed by role and name: a source and a target may be called alike.
USER_MESHES = {f"source-{SOURCE_NAME}": SOURCE.neutral} if SOURCE else {}
USER_MESHES |= {f"target-{TARGET_NAME}": TARGET} if TARGET else {}
SOURCE_OPERATORS = f"<results>/nfs/user_operators/source-{SOURCE_NAME}.npz"
TARGET_OPERATORS = f"<results>/nfs/user_operators/target-{TARGET_NAME}.npz"
CLONED = f"<results>/nfs/retarget/{SOURCE_NAME}/{TARGET_NAME}"
DRIVEN = f"<results>/nfs/rig/{WEIGHTS_NAME}/{TARGET_NAME}"


rule nfs_user_operators:
    # Laplacian, eigenfunctions, gradients and picture of the meshes that source and target name.
    input:
        mesh=lambda wildcards: str(USER_MESHES[wildcards.user_mesh]),
        landmarks=lambda wildcards: sequences.landmarks_beside(
            USER_MESHES[wildcards.user_mesh]
        ),
        people="<results>/nfs/people",
    output:
        ensure("<results>/nfs/user_operators/{user_mesh}.npz", non_empty=True),
    log:
        "<logs>/nfs_user_operators/{user_mesh}.log",
    benchmark:
        "<benchmarks>/nfs_user_operators/{user_mesh}.jsonl"
    wildcard_constraints:
        user_mesh="|".join(map(re.escape, USER_MESHES)) or "none",
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        people=f"{RESULTS}/nfs/people/people.npz",
        landmarks=lambda wildcards, input: (
            ["--landmarks", *input.landmarks] if input.landmarks else []
        ),
        settings=json.dumps(config["nfs"]["operators"] | {"vertices": None}),
        code=CODE["operators_build"],
    shell:
        "python workflow/scripts/operators_build.py --mesh {input.mesh:q} "
        "{params.landmarks:q} --people {params.people:q} --settings {params.settings:q} "
        "--out {output:q} &> {log:q}"


rule nfs_retarget_one:
    # The expressions of source on target: meshes, animation, unit weights, preview.
    input:
        model=RETARGET_MODEL,
        source=[str(path) for path in SOURCE.files] if SOURCE else sequences.NO_SOURCE,
        target=str(TARGET) if TARGET else sequences.NO_TARGET,
        operators=[SOURCE_OPERATORS, TARGET_OPERATORS] if SOURCE and TARGET else [],
    output:
        frames=directory(f"{CLONED}/frames"),
        made=[
            f"{CLONED}/{name}"
            for name in ("animation.glb", "weights.csv", "preview.gif", "preview.png")
        ],
    log:
        "<logs>/nfs_retarget_one.log",
    benchmark:
        "<benchmarks>/nfs_retarget_one.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: config["nfs"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        source=config["source"],
        neutral=str(SOURCE.neutral) if SOURCE else "",
        settings=RETARGET_SETTINGS,
        out=lambda wildcards, output: str(Path(output.frames).parent),
        code=CODE["nfs_retarget_one"],
    shell:
        "python workflow/scripts/nfs_retarget_one.py --model {input.model:q} "
        "--source {params.source:q} --neutral {params.neutral:q} --target {input.target:q} "
        "--operators {input.operators:q} --settings {params.settings:q} --threads {threads} "
        "--out {params.out:q} &> {log:q}"


rule nfs_inverse_rig:
    # Unit weights of the expressions of source, as a table that nfs_rig reads.
    input:
        model=RETARGET_MODEL,
        source=[str(path) for path in SOURCE.files] if SOURCE else sequences.NO_SOURCE,
        operators=SOURCE_OPERATORS if SOURCE else [],
    output:
        f"<results>/nfs/inverse_rig/{SOURCE_NAME}.csv",
    log:
        "<logs>/nfs_inverse_rig.log",
    benchmark:
        "<benchmarks>/nfs_inverse_rig.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: config["nfs"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        source=config["source"],
        neutral=str(SOURCE.neutral) if SOURCE else "",
        settings=RETARGET_SETTINGS,
        code=CODE["nfs_inverse_rig"],
    shell:
        "python workflow/scripts/nfs_inverse_rig.py --model {input.model:q} "
        "--source {params.source:q} --neutral {params.neutral:q} "
        "--operators {input.operators:q} --settings {params.settings:q} --threads {threads} "
        "--out {output:q} &> {log:q}"


rule nfs_rig:
    # Target driven by a table of unit weights: meshes, a rig with morph targets, preview.
    input:
        model=RETARGET_MODEL,
        target=str(TARGET) if TARGET else sequences.NO_TARGET,
        weights=str(DRIVEN_BY) if DRIVEN_BY else sequences.NO_WEIGHTS,
        operators=TARGET_OPERATORS if TARGET else [],
    output:
        frames=directory(f"{DRIVEN}/frames"),
        made=[f"{DRIVEN}/{name}" for name in ("rig.glb", "preview.gif", "preview.png")],
    log:
        "<logs>/nfs_rig.log",
    benchmark:
        "<benchmarks>/nfs_rig.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: config["nfs"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=RETARGET_SETTINGS,
        out=lambda wildcards, output: str(Path(output.frames).parent),
        code=CODE["nfs_rig"],
    shell:
        "python workflow/scripts/nfs_rig.py --model {input.model:q} --target {input.target:q} "
        "--operators {input.operators:q} --weights {input.weights:q} "
        "--settings {params.settings:q} --threads {threads} --out {params.out:q} &> {log:q}"


rule nfs_rig_sheet:
    # Every expression unit alone on one head, named.
    input:
        model=f"<results>/nfs/{NFS_VARIANTS[0]}/model.safetensors",
        people="<results>/nfs/people",
    output:
        figure=report(
            "<results>/figures/nfs_rig_sheet.png",
            caption="../report/nfs_rig_sheet.rst",
            category="NFS",
            labels={"figure": "all units"},
        ),
    log:
        "<logs>/nfs_rig_sheet.log",
    benchmark:
        "<benchmarks>/nfs_rig_sheet.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        code=CODE["nfs_rig_sheet"],
    shell:
        "python workflow/scripts/nfs_rig_sheet.py --model {input.model:q} "
        "--people {input.people:q} --threads {threads} --out {output.figure:q} &> {log:q}"


rule nfs_segments_figure:
    # Segments that the skinning encoder sees on meshes nobody trained on.
    input:
        model=f"<results>/nfs/{NFS_VARIANTS[0]}/model.safetensors",
        people="<results>/nfs/people",
        meshes=collect("<results>/operators/{mesh}.npz", mesh=NFS_SHOWN),
    output:
        figure=report(
            "<results>/figures/nfs_segments_figure.png",
            caption="../report/nfs_segments_figure.rst",
            category="NFS",
            labels={"figure": "skinning segments"},
        ),
    log:
        "<logs>/nfs_segments_figure.log",
    benchmark:
        "<benchmarks>/nfs_segments_figure.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        meshes=lambda wildcards, input: (
            ["--meshes", *input.meshes] if input.meshes else []
        ),
        code=CODE["nfs_segments_figure"],
    shell:
        "python workflow/scripts/nfs_segments_figure.py --model {input.model:q} "
        "--people {input.people:q} {params.meshes:q} --threads {threads} "
        "--out {output.figure:q} &> {log:q}"
