# MoFaNeRF: codes from registered meshes, trained on views, measured on what was held out.
localrules:
    mofanerf_table,
    mofanerf_ablation,


MOFANERF_VARIANTS = list(configuration.variants(config["mofanerf"]))
MOFANERF_ABLATIONS = list(configuration.ablations(config["mofanerf"]))
# Settings of training, evaluation and figures by variant, as JSON.
MOFANERF = {
    variant: {
        "train": json.dumps(
            {"model": own["model"], "train": own["train"] | {"seed": config["seed"]}}
        ),
        "evaluate": json.dumps(own["evaluate"]),
        "figures": json.dumps(own["figures"]),
    }
    for kind in (configuration.variants, configuration.ablations)
    for variant, own in kind(config["mofanerf"]).items()
}
# Of the first variant's renders, refined; config mofanerf.refine may be null.
REFINE_SCORES = collect(
    "<results>/mofanerf/{radiance}/refine/scores.csv",
    radiance=MOFANERF_VARIANTS[:1] if config["mofanerf"]["refine"] is not None else [],
)
MOFANERF_VIEWS = collect("<results>/views/{person}.zip", person=VIEW_PEOPLE)


rule mofanerf_codes:
    # Shape codes, textures, predicted surfaces; views, pairs and people that are held out.
    input:
        index="<results>/index.json",
        faces=collect("<results>/faces/{person}.npz", person=VIEW_PEOPLE),
        manifests=collect("<results>/faces/{person}.json", person=VIEW_PEOPLE),
        views=MOFANERF_VIEWS,
    output:
        codes=ensure("<results>/mofanerf/codes.npz", non_empty=True),
        split=ensure("<results>/mofanerf/split.json", non_empty=True),
    log:
        "<logs>/mofanerf_codes.log",
    benchmark:
        "<benchmarks>/mofanerf_codes.jsonl"
    priority: 20  # before the long jobs, which wait for everybody
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        faces=lambda wildcards, input: str(Path(input.faces[0]).parent),
        views=lambda wildcards, input: str(Path(input.views[0]).parent),
        settings=json.dumps(config["mofanerf"]["codes"] | {"seed": config["seed"]}),
        code=CODE["mofanerf_codes"],
    shell:
        "python workflow/scripts/mofanerf_codes.py --index {input.index:q} "
        "--faces {params.faces:q} --views {params.views:q} --settings {params.settings:q} "
        "--codes {output.codes:q} --split {output.split:q} &> {log:q}"


rule mofanerf_train:
    # The radiance field, the texture network and the expression codes. Unfinished work is kept.
    input:
        codes="<results>/mofanerf/codes.npz",
        split="<results>/mofanerf/split.json",
        views=MOFANERF_VIEWS,
    output:
        model=ensure("<results>/mofanerf/{radiance}/model.safetensors", non_empty=True),
        history=ensure("<results>/mofanerf/{radiance}/history.csv", non_empty=True),
        run=ensure("<results>/mofanerf/{radiance}/run.json", non_empty=True),
    log:
        "<logs>/mofanerf_train/{radiance}.log",
    benchmark:
        "<benchmarks>/mofanerf_train/{radiance}.jsonl"
    wildcard_constraints:
        radiance="|".join(MOFANERF_VARIANTS + MOFANERF_ABLATIONS),
    priority: 15  # the longest job, and the most waits for it
    conda:
        "../../envs/torch.yaml"
    threads: config["mofanerf"]["threads"] * config["mofanerf"]["processes"]
    resources:
        gpu=lambda wildcards: gpu(wildcards) * config["mofanerf"]["processes"],
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 1440 * attempt,
    params:
        views=lambda wildcards, input: str(Path(input.views[0]).parent),
        work=f"{WORK}/mofanerf_train/{{radiance}}",
        settings=lookup("{radiance}/train", within=MOFANERF),
        launch=launched(config["mofanerf"]["processes"]),
        threads=config["mofanerf"]["threads"],
        code=CODE["mofanerf_train"],
    shell:
        "{params.launch:q} workflow/scripts/mofanerf_train.py --codes {input.codes:q} "
        "--split {input.split:q} --views {params.views:q} --settings {params.settings:q} "
        "--threads {params.threads:q} --work {params.work:q} --model {output.model:q} "
        "--history {output.history:q} --run {output.run:q} &> {log:q}"


rule mofanerf_evaluate:
    # Images in held-out views, of held-out pairs and of unseen people, beside the truth.
    input:
        model="<results>/mofanerf/{radiance}/model.safetensors",
        codes="<results>/mofanerf/codes.npz",
        split="<results>/mofanerf/split.json",
        views=MOFANERF_VIEWS,
    output:
        ensure("<results>/mofanerf/{radiance}/scores.csv", non_empty=True),
    log:
        "<logs>/mofanerf_evaluate/{radiance}.log",
    benchmark:
        "<benchmarks>/mofanerf_evaluate/{radiance}.jsonl"
    wildcard_constraints:
        radiance="|".join(MOFANERF_VARIANTS + MOFANERF_ABLATIONS),
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        gpu=gpu,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        views=lambda wildcards, input: str(Path(input.views[0]).parent),
        settings=lookup("{radiance}/evaluate", within=MOFANERF),
        code=CODE["mofanerf_evaluate"],
    shell:
        "python workflow/scripts/mofanerf_evaluate.py --model {input.model:q} "
        "--codes {input.codes:q} --split {input.split:q} --views {params.views:q} "
        "--method {wildcards.radiance:q} --settings {params.settings:q} --threads {threads} "
        "--out {output:q} &> {log:q}"


rule mofanerf_table:
    # All variants, the baselines and RefineNet, by what was held out.
    input:
        scores=collect(
            "<results>/mofanerf/{radiance}/scores.csv", radiance=MOFANERF_VARIANTS
        ),
        fitted=lambda wildcards: MOFANERF_FIT_SCORES,
        refined=REFINE_SCORES,
    output:
        report(
            "<results>/tables/mofanerf.csv",
            caption="../report/mofanerf_table.rst",
            category="MoFaNeRF",
            labels={"what": "table"},
        ),
    log:
        "<logs>/mofanerf_table.log",
    benchmark:
        "<benchmarks>/mofanerf_table.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        code=CODE["mofanerf_table"],
    shell:
        "python workflow/scripts/mofanerf_table.py --scores {input.scores:q} "
        "{input.fitted:q} {input.refined:q} --out {output:q} &> {log:q}"


rule mofanerf_ablation:
    # What each part is worth: the first variant and the same without one part after the other.
    input:
        collect(
            "<results>/mofanerf/{radiance}/scores.csv",
            radiance=[MOFANERF_VARIANTS[0], *MOFANERF_ABLATIONS],
        ),
    output:
        report(
            "<results>/tables/mofanerf_ablation.csv",
            caption="../report/mofanerf_ablation.rst",
            category="MoFaNeRF",
            labels={"what": "ablation"},
        ),
    log:
        "<logs>/mofanerf_ablation.log",
    benchmark:
        "<benchmarks>/mofanerf_ablation.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        methods=[MOFANERF_VARIANTS[0], *MOFANERF_ABLATIONS],
        settings=settings("seed"),
        code=CODE["mofanerf_ablation"],
    shell:
        "python workflow/scripts/mofanerf_ablation.py --scores {input:q} "
        "--methods {params.methods:q} --settings {params.settings:q} --out {output:q} &> {log:q}"


rule mofanerf_novel_views:
    # Held-out views beside the truth with their errors, and a strip of new views.
    input:
        model=f"<results>/mofanerf/{MOFANERF_VARIANTS[0]}/model.safetensors",
        codes="<results>/mofanerf/codes.npz",
        split="<results>/mofanerf/split.json",
        views=MOFANERF_VIEWS,
    output:
        figure=report(
            "<results>/figures/mofanerf_novel_views.png",
            caption="../report/mofanerf_novel_views.rst",
            category="MoFaNeRF",
            labels={"figure": "held-out and new views"},
        ),
    log:
        "<logs>/mofanerf_novel_views.log",
    benchmark:
        "<benchmarks>/mofanerf_novel_views.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        views=lambda wildcards, input: str(Path(input.views[0]).parent),
        settings=MOFANERF[MOFANERF_VARIANTS[0]]["figures"],
        code=CODE["mofanerf_novel_views"],
    shell:
        "python workflow/scripts/mofanerf_novel_views.py --model {input.model:q} "
        "--codes {input.codes:q} --split {input.split:q} --views {params.views:q} "
        "--settings {params.settings:q} --threads {threads} --out {output.figure:q} &> {log:q}"
