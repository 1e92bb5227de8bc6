# RefineNet on the first variant of MoFaNeRF: pairs, training, numbers, a picture.
if config["mofanerf"]["refine"] is not None:
    REFINE = config["mofanerf"]["refine"]
    REFINED = f"<results>/mofanerf/{MOFANERF_VARIANTS[0]}"  # whose renders are refined
    REFINE_WEIGHTS = [REFINE["train"]["vgg"]] if REFINE["train"]["vgg"] else []

    rule mofanerf_refine_pairs:
        # Renders of half size beside the truth: training views of training people, held-out ones.
        # Unfinished work is kept.
        input:
            model=f"{REFINED}/model.safetensors",
            codes="<results>/mofanerf/codes.npz",
            split="<results>/mofanerf/split.json",
            views=MOFANERF_VIEWS,
            faces=collect("<results>/faces/{person}.npz", person=VIEW_PEOPLE),
            manifests=collect("<results>/faces/{person}.json", person=VIEW_PEOPLE),
        output:
            train=directory(f"{REFINED}/refine/train"),
            held_out=directory(f"{REFINED}/refine/held_out"),
        log:
            "<logs>/mofanerf_refine_pairs.log",
        benchmark:
            "<benchmarks>/mofanerf_refine_pairs.jsonl"
        conda:
            "../../envs/figures.yaml"
        threads: 1
        resources:
            gpu=gpu,
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime=lambda wildcards, attempt: 720 * attempt,
        params:
            views=lambda wildcards, input: str(Path(input.views[0]).parent),
            faces=lambda wildcards, input: str(Path(input.faces[0]).parent),
            settings=json.dumps(
                {key: REFINE[key] for key in ("pairs", "evaluate")}
                | {
                    key: configuration.variants(config["mofanerf"])[
                        MOFANERF_VARIANTS[0]
                    ]["evaluate"][key]
                    for key in ("sampling", "rays_at_once", "device")
                }
                | {"seed": config["seed"]}
            ),
            work=f"{WORK}/mofanerf_refine_pairs",
            code=CODE["mofanerf_refine_pairs"],
        shell:
            "python workflow/scripts/mofanerf_refine_pairs.py --model {input.model:q} "
            "--codes {input.codes:q} --split {input.split:q} --views {params.views:q} "
            "--faces {params.faces:q} --settings {params.settings:q} --threads {threads} "
            "--work {params.work:q} "
            "--train {output.train:q} --held-out {output.held_out:q} &> {log:q}"

    rule mofanerf_refine_train:
        # Generator against discriminators. Unfinished work is kept.
        input:
            index="<results>/index.json",
            pairs=f"{REFINED}/refine/train",
            vgg=REFINE_WEIGHTS,
        output:
            model=ensure(f"{REFINED}/refine/refiner.safetensors", non_empty=True),
            history=ensure(f"{REFINED}/refine/history.csv", non_empty=True),
            run=ensure(f"{REFINED}/refine/run.json", non_empty=True),
        log:
            "<logs>/mofanerf_refine_train.log",
        benchmark:
            "<benchmarks>/mofanerf_refine_train.jsonl"
        conda:
            "../../envs/torch.yaml"
        threads: config["mofanerf"]["threads"]
        resources:
            gpu=gpu,
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime=lambda wildcards, attempt: 1440 * attempt,
        params:
            work=f"{WORK}/mofanerf_refine_train",
            settings=json.dumps(
                {
                    "model": REFINE["model"],
                    "train": REFINE["train"] | {"seed": config["seed"]},
                }
            ),
            code=CODE["mofanerf_refine_train"],
        shell:
            "python workflow/scripts/mofanerf_refine_train.py --index {input.index:q} "
            "--pairs {input.pairs:q} --settings {params.settings:q} --threads {threads} "
            "--work {params.work:q} --model {output.model:q} --history {output.history:q} "
            "--run {output.run:q} &> {log:q}"

    rule mofanerf_refine_evaluate:
        # Held-out pictures before and after, and how well neighbouring views agree.
        input:
            model=f"{REFINED}/refine/refiner.safetensors",
            pairs=f"{REFINED}/refine/held_out",
            split="<results>/mofanerf/split.json",
        output:
            ensure(f"{REFINED}/refine/scores.csv", non_empty=True),
        log:
            "<logs>/mofanerf_refine_evaluate.log",
        benchmark:
            "<benchmarks>/mofanerf_refine_evaluate.jsonl"
        conda:
            "../../envs/figures.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 3000 * attempt,
            runtime=lambda wildcards, attempt: 120 * attempt,
        params:
            method=MOFANERF_VARIANTS[0],
            settings=json.dumps(REFINE["evaluate"]),
            code=CODE["mofanerf_refine_evaluate"],
        shell:
            "python workflow/scripts/mofanerf_refine_evaluate.py --model {input.model:q} "
            "--pairs {input.pairs:q} --split {input.split:q} --method {params.method:q} "
            "--settings {params.settings:q} --threads {threads} --out {output:q} &> {log:q}"

    rule mofanerf_refine_figure:
        # Truth, coarse render, refined picture, and the differences.
        input:
            model=f"{REFINED}/refine/refiner.safetensors",
            pairs=f"{REFINED}/refine/held_out",
            split="<results>/mofanerf/split.json",
        output:
            figure=report(
                "<results>/figures/mofanerf_refine_figure.png",
                caption="../report/mofanerf_refine_figure.rst",
                category="MoFaNeRF",
                labels={"figure": "before and after RefineNet"},
            ),
        log:
            "<logs>/mofanerf_refine_figure.log",
        benchmark:
            "<benchmarks>/mofanerf_refine_figure.jsonl"
        conda:
            "../../envs/figures.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=lambda wildcards, attempt: 30 * attempt,
        params:
            code=CODE["mofanerf_refine_figure"],
        shell:
            "python workflow/scripts/mofanerf_refine_figure.py --model {input.model:q} "
            "--pairs {input.pairs:q} --split {input.split:q} --threads {threads} "
            "--out {output.figure:q} &> {log:q}"
