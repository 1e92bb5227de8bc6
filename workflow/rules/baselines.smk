# What every system is measured against: a linear and a bilinear model of the training faces, their
# mean, and the nearest one of them.

# As many components as ImFace has latent numbers, unless the configuration says otherwise.
LATENT = (
    config["imface"]["model"]["identity_dim"],
    config["imface"]["model"]["expression_dim"],
)
BASELINE_SETTINGS = settings(
    "seed",
    **config["baselines"]
    | {"components": config["baselines"]["components"] or sum(LATENT)},
    identity_components=LATENT[0],
    expression_components=LATENT[1],
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
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        faces=lambda wildcards, input: str(Path(input.packs[0]).parent),
        settings=BASELINE_SETTINGS,
        code=CODE["baseline_train"],
    shell:
        "python workflow/scripts/baseline_train.py --index {input.index:q} "
        "--faces {params.faces:q} --settings {params.settings:q} --out {output:q} &> {log:q}"


rule baseline_fit:
    # The linear model or the mean for one unseen person, given the same points as the systems.
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
    wildcard_constraints:
        method="mean|pca",
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=BASELINE_SETTINGS,
        code=CODE["baseline_fit"],
    shell:
        "python workflow/scripts/baseline_fit.py --model {input.model:q} "
        "--method {wildcards.method:q} --samples {input.samples:q} "
        "--settings {params.settings:q} --out {output:q} &> {log:q}"


rule baseline_bilinear_train:
    # Tucker model of the training meshes, person by expression.
    input:
        index="<results>/index.json",
        manifests=collect("<results>/faces/{person}.json", person=TRAIN),
        packs=ancient(collect("<results>/faces/{person}.npz", person=TRAIN)),
    output:
        ensure("<results>/baselines/bilinear_model.npz", non_empty=True),
    log:
        "<logs>/baseline_bilinear_train.log",
    benchmark:
        "<benchmarks>/baseline_bilinear_train.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        faces=lambda wildcards, input: str(Path(input.packs[0]).parent),
        settings=BASELINE_SETTINGS,
        code=CODE["baseline_bilinear_train"],
    shell:
        "python workflow/scripts/baseline_bilinear_train.py --index {input.index:q} "
        "--faces {params.faces:q} --settings {params.settings:q} --out {output:q} &> {log:q}"


rule baseline_bilinear_fit:
    # The bilinear model for one unseen person, given the same points as the systems.
    input:
        model="<results>/baselines/bilinear_model.npz",
        samples="<results>/samples/{person}.npy",
        manifest="<results>/samples/{person}.json",
    output:
        ensure("<results>/baselines/bilinear/fit/{person}.npz", non_empty=True),
    log:
        "<logs>/baseline_bilinear_fit/{person}.log",
    benchmark:
        "<benchmarks>/baseline_bilinear_fit/{person}.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=BASELINE_SETTINGS,
        code=CODE["baseline_bilinear_fit"],
    shell:
        "python workflow/scripts/baseline_bilinear_fit.py --model {input.model:q} "
        "--samples {input.samples:q} --settings {params.settings:q} --out {output:q} &> {log:q}"


rule baseline_nearest_fit:
    # The nearest training scan to each scan of one unseen person, by the same points.
    input:
        index="<results>/index.json",
        manifests=collect("<results>/faces/{person}.json", person=TRAIN),
        packs=ancient(collect("<results>/faces/{person}.npz", person=TRAIN)),
        samples="<results>/samples/{person}.npy",
        manifest="<results>/samples/{person}.json",
    output:
        ensure("<results>/baselines/nearest/fit/{person}.npz", non_empty=True),
    log:
        "<logs>/baseline_nearest_fit/{person}.log",
    benchmark:
        "<benchmarks>/baseline_nearest_fit/{person}.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        faces=lambda wildcards, input: str(Path(input.packs[0]).parent),
        settings=BASELINE_SETTINGS,
        code=CODE["baseline_nearest_fit"],
    shell:
        "python workflow/scripts/baseline_nearest_fit.py --index {input.index:q} "
        "--faces {params.faces:q} --samples {input.samples:q} "
        "--settings {params.settings:q} --out {output:q} &> {log:q}"
