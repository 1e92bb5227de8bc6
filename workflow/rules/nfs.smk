# NFS: labelled people, operators of any mesh, networks and their numbers.
NFS_VARIANTS = list(configuration.variants(config["nfs"]))
NFS = {
    variant: json.dumps(
        {"model": own["model"], "train": own["train"] | {"seed": config["seed"]}}
    )
    for variant, own in configuration.variants(config["nfs"]).items()
}
# Labelled people come from the ICT model where there is one.
NFS_ICT = config["nfs"]["data"]["source"] == "ict" or (
    config["nfs"]["data"]["source"] == "auto" and (KIND == "ict" or config["ict_model"])
)
NFS_ICT_FOLDER = str(sources.ict_model_folder(config)) if NFS_ICT else ""
# People of the data set that are learnt from, without labels; those over whose meshes expressions
# go and come back; and one that is shown.
try:
    NFS_UNLABELLED = configuration.chosen(TRAIN, config["nfs"]["people"], "nfs.people")
    NFS_SCANNED = configuration.chosen(
        TEST, config["nfs"]["cycle_people"], "nfs.cycle_people"
    )
except FacemillError as error:
    sys.exit(f"error: {error}")
if "1_neutral" not in EXPRESSIONS:
    NFS_UNLABELLED = NFS_SCANNED = []
NFS_SHOWN = TEST[:1] if "1_neutral" in EXPRESSIONS else []


rule nfs_data:
    # Labelled people drawn from a face model: weights, expressions, segments, operators.
    input:
        model=NFS_ICT_FOLDER if NFS_ICT else [],
    output:
        directory("<results>/nfs/people"),
    log:
        "<logs>/nfs_data.log",
    benchmark:
        "<benchmarks>/nfs_data.jsonl"
    priority: 20  # before the long jobs; one of them waits for this
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        ict=["--ict", NFS_ICT_FOLDER] if NFS_ICT else [],
        settings=json.dumps(
            {
                "data": config["nfs"]["data"],
                "operators": {
                    key: config["nfs"]["operators"][key]
                    for key in ("eigenfunctions", "picture_size")
                },
                "seed": config["seed"],
            }
        ),
        code=CODE["nfs_data"],
    shell:
        "python workflow/scripts/nfs_data.py {params.ict:q} --settings {params.settings:q} "
        "--out {output:q} &> {log:q}"


if KIND == "multiface":

    rule nfs_multiface:
        # Frames of a person of Multiface, their head still, on the mean face.
        input:
            meshes=f"{TREE}/{{person}}/tracked_mesh",
            people="<results>/nfs/people",
        output:
            ensure("<results>/nfs/faces/{person}.npz", non_empty=True),
        log:
            "<logs>/nfs_multiface/{person}.log",
        benchmark:
            "<benchmarks>/nfs_multiface/{person}.jsonl"
        conda:
            "../../envs/mesh.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime=lambda wildcards, attempt: 60 * attempt,
        params:
            person=lambda wildcards, input: str(Path(input.meshes).parent),
            people=lambda wildcards, input: str(Path(input.people) / "people.npz"),
            settings=settings("multiface"),
            max_residual=config["nfs"]["operators"]["max_residual"],
            code=CODE["nfs_multiface"],
        shell:
            "python workflow/scripts/nfs_multiface.py --person {params.person:q} "
            "--people {params.people:q} --settings {params.settings:q} "
            "--max-residual {params.max_residual:q} --out {output:q} &> {log:q}"


rule operators_build:
    # Laplacian, eigenfunctions, gradients and picture of a neutral mesh, aligned to the mean face.
    input:
        mesh=mesh_source,
        landmarks=mesh_landmarks,
        people="<results>/nfs/people",
    output:
        ensure("<results>/operators/{mesh}.npz", non_empty=True),
    log:
        "<logs>/operators_build/{mesh}.log",
    benchmark:
        "<benchmarks>/operators_build/{mesh}.jsonl"
    wildcard_constraints:
        mesh=r"[^/]+",
    priority: 20  # before the long jobs; one of them waits for these
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        people=lambda wildcards, input: str(Path(input.people) / "people.npz"),
        landmarks=lambda wildcards, input: (
            ["--landmarks", *input.landmarks] if input.landmarks else []
        ),
        settings=mesh_settings,
        code=CODE["operators_build"],
    shell:
        "python workflow/scripts/operators_build.py --mesh {input.mesh:q} "
        "{params.landmarks:q} --people {params.people:q} --settings {params.settings:q} "
        "--out {output:q} &> {log:q}"


rule nfs_train:
    # Encoders, skinning and decoder. Unfinished work is kept.
    input:
        people="<results>/nfs/people",
        index="<results>/index.json",
        operators=collect("<results>/operators/{mesh}.npz", mesh=NFS_UNLABELLED),
        faces=collect(f"{NFS_FACES}/{{person}}.npz", person=NFS_UNLABELLED),
    output:
        model=ensure("<results>/nfs/{design}/model.safetensors", non_empty=True),
        history=ensure("<results>/nfs/{design}/history.csv", non_empty=True),
        run=ensure("<results>/nfs/{design}/run.json", non_empty=True),
    log:
        "<logs>/nfs_train/{design}.log",
    benchmark:
        "<benchmarks>/nfs_train/{design}.jsonl"
    wildcard_constraints:
        design="|".join(NFS_VARIANTS),
    priority: 10  # a long job, and pictures wait for it
    conda:
        "../../envs/torch.yaml"
    threads: config["nfs"]["threads"]
    resources:
        gpu=gpu,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 1440 * attempt,
    params:
        unlabelled=["--unlabelled", *NFS_UNLABELLED] if NFS_UNLABELLED else [],
        operators=lambda wildcards, input: (
            str(Path(input.operators[0]).parent) if input.operators else ""
        ),
        faces=lambda wildcards, input: (
            str(Path(input.faces[0]).parent) if input.faces else ""
        ),
        work=f"{WORK}/nfs_train/{{design}}",
        settings=lookup("{design}", within=NFS),
        code=CODE["nfs_train"],
    shell:
        "python workflow/scripts/nfs_train.py --people {input.people:q} --index {input.index:q} "
        "--operators {params.operators:q} --faces {params.faces:q} {params.unlabelled:q} "
        "--settings {params.settings:q} --threads {threads} --work {params.work:q} "
        "--model {output.model:q} --history {output.history:q} --run {output.run:q} &> {log:q}"


rule nfs_evaluate:
    # Cloning, cycles, neutrals, rig weights and segments of people nobody trained on.
    input:
        model="<results>/nfs/{design}/model.safetensors",
        people="<results>/nfs/people",
        operators=collect("<results>/operators/{mesh}.npz", mesh=NFS_SCANNED),
        faces=collect(f"{NFS_FACES}/{{person}}.npz", person=NFS_SCANNED),
    output:
        ensure("<results>/nfs/{design}/scores.csv", non_empty=True),
    log:
        "<logs>/nfs_evaluate/{design}.log",
    benchmark:
        "<benchmarks>/nfs_evaluate/{design}.jsonl"
    wildcard_constraints:
        design="|".join(NFS_VARIANTS),
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        scanned=lambda wildcards, input: (
            [
                "--scanned",
                *NFS_SCANNED,
                "--operators",
                str(Path(input.operators[0]).parent),
                "--faces",
                str(Path(input.faces[0]).parent),
            ]
            if NFS_SCANNED
            else []
        ),
        code=CODE["nfs_evaluate"],
    shell:
        "python workflow/scripts/nfs_evaluate.py --model {input.model:q} "
        "--people {input.people:q} {params.scanned:q} --method {wildcards.design:q} "
        "--threads {threads} --out {output:q} &> {log:q}"


rule nfs_table:
    # All variants and the baselines.
    input:
        scores=collect("<results>/nfs/{design}/scores.csv", design=NFS_VARIANTS),
    output:
        table=report(
            "<results>/tables/nfs.csv",
            caption="../report/nfs_table.rst",
            category="NFS",
            labels={"what": "table"},
        ),
        page="<results>/tables/nfs.md",
    log:
        "<logs>/nfs_table.log",
    benchmark:
        "<benchmarks>/nfs_table.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        code=CODE["nfs_table"],
    shell:
        "python workflow/scripts/nfs_table.py --scores {input.scores:q} "
        "--out {output.table:q} --page {output.page:q} &> {log:q}"
