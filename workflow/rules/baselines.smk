# What every system is measured against: a linear model and the mean of the training faces.

# As many components as ImFace has latent numbers, unless the configuration says otherwise.
LATENT = (
    config["imface"]["model"]["identity_dim"]
    + config["imface"]["model"]["expression_dim"]
)
LINEAR_MODEL = settings(
    "seed",
    **config["baselines"] | {"components": config["baselines"]["components"] or LATENT},
    crop_radius=config["mesh"]["crop_radius"],
)


rule baseline_train:
    # Mean and principal components of the training meshes.
    input:
        index="<results>/index.json",
        manifests=collect("<results>/faces/{person}.json", person=TRAIN),
        packs=ancient(collect("<results>/faces/{person}.npz", person=TRAIN)),
    output:
        ensure("<results>/baselines/linear_model.npz", non_empty=True),
    log:
        "<logs>/baseline_train.log",
    benchmark:
        "<benchmarks>/baseline_train.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        faces=lambda wildcards, input: str(Path(input.packs[0]).parent),
        settings=LINEAR_MODEL,
        code=CODE["baseline_train"],
    shell:
        "python workflow/scripts/baseline_train.py --index {input.index:q} "
        "--faces {params.faces:q} --settings {params.settings:q} --out {output:q} &> {log:q}"


rule baseline_fit:
    # One unseen person, given the same points as the systems.
    input:
        model="<results>/baselines/linear_model.npz",
        samples="<results>/samples/{person}.npy",
        manifest="<results>/samples/{person}.json",
    output:
        ensure("<results>/baselines/{method}/fit/{person}.npz", non_empty=True),
    log:
        "<logs>/baseline_fit/{method}/{person}.log",
    benchmark:
        "<benchmarks>/baseline_fit/{method}/{person}.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=LINEAR_MODEL,
        code=CODE["baseline_fit"],
    shell:
        "python workflow/scripts/baseline_fit.py --model {input.model:q} "
        "--method {wildcards.method:q} --samples {input.samples:q} "
        "--settings {params.settings:q} --out {output:q} &> {log:q}"
