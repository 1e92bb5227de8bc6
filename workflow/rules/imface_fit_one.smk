# ImFace fitted to the user's own scans: snakemake imface_fit_one --config input=head.ply
MADE_OF_SCAN = ["mesh.ply", "mesh_face_frame.ply", "codes.npz", "scores.csv"]
MADE_OF_SCAN += ["error_map.png", "turntable.png"]


if FETCHED_MODEL:

    localrules:
        imface_fetch,

    rule imface_fetch:
        # Trained weights from an https address or a file, checked by their SHA-256.
        input:
            model=[] if inputs.is_address(FIT_ONE["model"]) else FIT_ONE["model"],
        output:
            FETCHED_MODEL,
        log:
            "logs/imface_fetch.log",
        benchmark:
            "logs/imface_fetch.jsonl"
        conda:
            "../../envs/base.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 1000 * attempt,
            runtime=lambda wildcards, attempt: 30 * attempt,
        params:
            model=FIT_ONE["model"],
            sha256=FIT_ONE["model_sha256"],
            code=CODE["imface_fetch"],
        shell:
            "python workflow/scripts/imface_fetch.py --model {params.model:q} "
            "--sha256 {params.sha256:q} --out {output:q} &> {log:q}"


rule imface_fit_one:
    # Mesh, codes, errors and views of scans of any frame, with landmarks or without.
    input:
        model=FETCHED_MODEL
        or FIT_ONE["model"]
        or f"<results>/imface/{FIT_ONE_VARIANT}/model.safetensors",
        scans=[path for raw in RAW_SCANS for path in (raw.scan, raw.landmarks) if path]
        or inputs.NO_INPUT,
    output:
        [
            f"<results>/imface/fit_one/{raw.name}/{made}"
            for raw in RAW_SCANS
            for made in MADE_OF_SCAN
        ],
    log:
        "<logs>/imface_fit_one.log",
    benchmark:
        "<benchmarks>/imface_fit_one.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 4
    resources:
        gpu=gpu,
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        scans=["--input", *[str(raw.scan) for raw in RAW_SCANS]]
        + (["--landmarks", FIT_ONE["landmarks"]] if FIT_ONE["landmarks"] else []),
        settings=json.dumps(
            json.loads(IMFACE[FIT_ONE_VARIANT]["fit"])
            | {"fit_one": inputs.settings(FIT_ONE)}
        ),
        work=f"{WORK}/imface_fit_one",
        out=f"{RESULTS}/imface/fit_one",
        code=CODE["imface_fit_one"],
    shell:
        "python workflow/scripts/imface_fit_one.py --model {input.model:q} "
        "{params.scans:q} --settings {params.settings:q} --threads {threads} "
        "--work {params.work:q} --out {params.out:q} &> {log:q} "
        "&& grep -E 'rms residual|scan to reconstruction' {log:q}"
