# ImFace: trained on the training people, fitted to the test people, measured.
localrules:
    imface_table,
    imface_ablation,
    imface_release,


# Settings of training and fitting by variant, as JSON.
IMFACE = {
    variant: {
        "train": json.dumps(
            {"model": own["model"], "train": own["train"] | {"seed": config["seed"]}}
        ),
        "fit": json.dumps(
            {
                "fit": own["fit"] | {"seed": config["seed"]},
                "extraction": own["extraction"],
            }
        ),
    }
    for kind in (configuration.variants, configuration.ablations)
    for variant, own in kind(config["imface"]).items()
}


rule imface_train:
    # The three fields and the codes of all training scans. Unfinished work is kept for resuming.
    input:
        index="<results>/index.json",
        manifests=collect("<results>/samples/{person}.json", person=TRAIN),
        packs=ancient(collect("<results>/samples/{person}.npy", person=TRAIN)),
    output:
        model=ensure("<results>/imface/{variant}/model.safetensors", non_empty=True),
        history=ensure("<results>/imface/{variant}/history.csv", non_empty=True),
        run=ensure("<results>/imface/{variant}/run.json", non_empty=True),
    log:
        "<logs>/imface_train/{variant}.log",
    benchmark:
        "<benchmarks>/imface_train/{variant}.jsonl"
    priority: 10  # a long job, and pictures wait for it
    conda:
        "../../envs/torch.yaml"
    threads: config["imface"]["threads"] * config["imface"]["processes"]
    resources:
        gpu=lambda wildcards: gpu(wildcards) * config["imface"]["processes"],
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 1440 * attempt,
    params:
        samples=lambda wildcards, input: str(Path(input.packs[0]).parent),
        work=f"{WORK}/imface_train/{{variant}}",
        settings=lookup("{variant}/train", within=IMFACE),
        launch=launched(config["imface"]["processes"]),
        threads=config["imface"]["threads"],
        code=CODE["imface_train"],
    shell:
        "{params.launch:q} workflow/scripts/imface_train.py --index {input.index:q} "
        "--samples {params.samples:q} --settings {params.settings:q} --threads {params.threads:q} "
        "--work {params.work:q} --model {output.model:q} --history {output.history:q} --run {output.run:q} &> {log:q}"


rule imface_fit:
    # Codes and meshes of one unseen person.
    input:
        model="<results>/imface/{variant}/model.safetensors",
        samples="<results>/samples/{person}.npy",
        manifest="<results>/samples/{person}.json",
    output:
        ensure("<results>/imface/{variant}/fit/{person}.npz", non_empty=True),
    log:
        "<logs>/imface_fit/{variant}/{person}.log",
    benchmark:
        "<benchmarks>/imface_fit/{variant}/{person}.jsonl"
    priority: 10
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpu,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        work=f"{WORK}/imface_fit/{{variant}}/{{person}}",
        settings=lookup("{variant}/fit", within=IMFACE),
        code=CODE["imface_fit"],
    shell:
        "python workflow/scripts/imface_fit.py --model {input.model:q} "
        "--samples {input.samples:q} --settings {params.settings:q} --threads {threads} "
        "--work {params.work:q} --out {output:q} &> {log:q}"


rule imface_table:
    # All variants and the baselines, over seen and unseen expressions of unseen people.
    input:
        index="<results>/index.json",
        scores=collect(
            "<results>/imface/{variant}/scores/{person}.csv",
            variant=VARIANTS,
            person=TEST,
        ),
        baselines=collect(
            "<results>/baselines/{method}/scores/{person}.csv",
            method=BASELINES,
            person=TEST,
        ),
    output:
        report(
            "<results>/tables/imface.csv",
            caption="../report/imface_table.rst",
            category="ImFace",
            labels={"what": "table"},
        ),
    log:
        "<logs>/imface_table.log",
    benchmark:
        "<benchmarks>/imface_table.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        code=CODE["imface_table"],
    shell:
        "python workflow/scripts/imface_table.py --scores {input.scores:q} {input.baselines:q} "
        "--index {input.index:q} --out {output:q} &> {log:q}"


rule imface_ablation:
    # What each part is worth: the first variant and the same without one part after the other.
    input:
        index="<results>/index.json",
        scores=collect(
            "<results>/imface/{variant}/scores/{person}.csv",
            variant=[VARIANTS[0], *ABLATIONS],
            person=TEST,
        ),
    output:
        report(
            "<results>/tables/imface_ablation.csv",
            caption="../report/imface_ablation.rst",
            category="ImFace",
            labels={"what": "ablation"},
        ),
    log:
        "<logs>/imface_ablation.log",
    benchmark:
        "<benchmarks>/imface_ablation.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        code=CODE["imface_table"],
    shell:
        "python workflow/scripts/imface_table.py --scores {input.scores:q} "
        "--index {input.index:q} --out {output:q} &> {log:q}"


rule imface_release_variant:
    # A trained model to give away: weights of half the size, and a card with checksum and scores.
    input:
        model="<results>/imface/{variant}/model.safetensors",
        table="<results>/tables/imface.csv",
    output:
        weights="<results>/release/imface_{variant}.safetensors",
        card="<results>/release/imface_{variant}.json",
    log:
        "<logs>/imface_release/{variant}.log",
    benchmark:
        "<benchmarks>/imface_release/{variant}.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        kind=KIND,
        code=CODE["imface_release"],
    shell:
        "python workflow/scripts/imface_release.py --model {input.model:q} --table {input.table:q} "
        "--dataset {params.kind:q} --weights {output.weights:q} --card {output.card:q} &> {log:q}"


rule imface_release:
    input:
        collect(rules.imface_release_variant.output, variant=VARIANTS),
