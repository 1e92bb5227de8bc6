# Pictures of ImFace: fits with their errors, walks through its codes, training curves.

# Walks and the interactive page show the first variant, at the fits of the test people.
MAIN = VARIANTS[0]
MODEL = f"<results>/imface/{MAIN}/model.safetensors"
FITS = collect(f"<results>/imface/{MAIN}/fit/{{person}}.npz", person=TEST)
# What reconstructions are compared: every variant and the linear model.
METHODS = {f"ImFace {variant}": f"imface/{variant}/fit" for variant in VARIANTS} | {
    "PCA": "baselines/pca/fit"
}


rule imface_reconstruction:
    # Scans of unseen people beside what was fitted to them, with the errors in millimetres.
    input:
        index="<results>/index.json",
        faces=collect("<results>/faces/{person}.npz", person=TEST),
        fits=collect("<results>/{fit}/{person}.npz", fit=METHODS.values(), person=TEST),
    output:
        figure=report(
            "<results>/figures/imface_reconstruction.png",
            caption="../report/imface_reconstruction.rst",
            category="ImFace",
            labels={"figure": "reconstructions"},
        ),
    log:
        "<logs>/imface_reconstruction.log",
    benchmark:
        "<benchmarks>/imface_reconstruction.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        faces=lambda wildcards, input: str(Path(input.faces[0]).parent),
        fits=[
            part
            for method, folder in METHODS.items()
            for part in ("--fit", method, f"{RESULTS}/{folder}")
        ],
        settings=json.dumps(config["imface"]["figures"]),
        code=CODE["imface_reconstruction"],
    shell:
        "python workflow/scripts/imface_reconstruction.py --index {input.index:q} "
        "--faces {params.faces:q} {params.fits:q} --settings {params.settings:q} --out {output.figure:q} &> {log:q}"


rule imface_interpolation:
    # From one unseen person to another, by the identity code.
    input:
        model=MODEL,
        fits=FITS,
    output:
        figure=report(
            "<results>/figures/imface_interpolation.png",
            caption="../report/imface_interpolation.rst",
            category="ImFace",
            labels={"figure": "identity interpolation"},
        ),
    log:
        "<logs>/imface_interpolation.log",
    benchmark:
        "<benchmarks>/imface_interpolation.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=json.dumps(config["imface"]["figures"]),
        code=CODE["imface_interpolation"],
    shell:
        "python workflow/scripts/imface_interpolation.py --model {input.model:q} "
        "--fits {input.fits:q} --settings {params.settings:q} --out {output.figure:q} &> {log:q}"


rule imface_expressions:
    # From neutral to an expression, by the expression code.
    input:
        model=MODEL,
        fits=FITS,
    output:
        figure=report(
            "<results>/figures/imface_expressions.png",
            caption="../report/imface_expressions.rst",
            category="ImFace",
            labels={"figure": "expression interpolation"},
        ),
    log:
        "<logs>/imface_expressions.log",
    benchmark:
        "<benchmarks>/imface_expressions.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=json.dumps(config["imface"]["figures"]),
        code=CODE["imface_expressions"],
    shell:
        "python workflow/scripts/imface_expressions.py --model {input.model:q} "
        "--fits {input.fits:q} --settings {params.settings:q} --out {output.figure:q} &> {log:q}"


rule imface_transfer:
    # Everybody with the expressions of the first person.
    input:
        model=MODEL,
        fits=FITS,
    output:
        figure=report(
            "<results>/figures/imface_transfer.png",
            caption="../report/imface_transfer.rst",
            category="ImFace",
            labels={"figure": "expression transfer"},
        ),
    log:
        "<logs>/imface_transfer.log",
    benchmark:
        "<benchmarks>/imface_transfer.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=json.dumps(config["imface"]["figures"]),
        code=CODE["imface_transfer"],
    shell:
        "python workflow/scripts/imface_transfer.py --model {input.model:q} "
        "--fits {input.fits:q} --settings {params.settings:q} --out {output.figure:q} &> {log:q}"


rule imface_curves:
    # Loss and its terms during training, all variants.
    input:
        histories=collect("<results>/imface/{variant}/history.csv", variant=VARIANTS),
    output:
        figure=report(
            "<results>/figures/imface_curves.png",
            caption="../report/imface_curves.rst",
            category="ImFace",
            labels={"figure": "training curves"},
        ),
        vector="<results>/figures/imface_curves.pdf",
    log:
        "<logs>/imface_curves.log",
    benchmark:
        "<benchmarks>/imface_curves.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        histories=[
            part
            for variant in VARIANTS
            for part in (
                "--history",
                variant,
                f"{RESULTS}/imface/{variant}/history.csv",
            )
        ],
        code=CODE["imface_curves"],
    shell:
        "python workflow/scripts/imface_curves.py {params.histories:q} --out {output.figure:q} &> {log:q}"
