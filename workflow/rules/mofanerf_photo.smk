# MoFaNeRF and pictures from elsewhere: raw multi-view scans, and photos of people nobody scanned.


if MULTIVIEW:

    rule mofanerf_align:
        # One person's raw scans on their registered meshes, measured, and without shoulders.
        input:
            scans=viewed_scans,
            faces="<results>/faces/{person}.npz",
            manifest="<results>/faces/{person}.json",
            dictionary=config["mofanerf"]["raw_scans"]["dictionary"] or [],
        output:
            pack=ensure(f"{VIEWED}/{{person}}.npz", non_empty=True),
            manifest=ensure(f"{VIEWED}/{{person}}.json", non_empty=True),
        log:
            "<logs>/mofanerf_align/{person}.log",
        benchmark:
            "<benchmarks>/mofanerf_align/{person}.jsonl"
        conda:
            "../../envs/mesh.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 6000 * attempt,
            runtime=lambda wildcards, attempt: 60 * attempt,
        params:
            person="{person}",
            dictionary=lambda wildcards, input: (
                ["--dictionary", input.dictionary] if input.dictionary else []
            ),
            settings=json.dumps(
                {"max_residual": config["mofanerf"]["raw_scans"]["max_residual"]}
            ),
            code=CODE["mofanerf_align"],
        shell:
            "python workflow/scripts/mofanerf_align.py --person {params.person:q} "
            "--scans {input.scans:q} --faces {input.faces:q} --manifest {input.manifest:q} "
            "{params.dictionary:q} --settings {params.settings:q} --pack {output.pack:q} "
            "--manifest-out {output.manifest:q} &> {log:q}"


# The photo that is fitted: the user's own, or a made-up one of somebody nobody trained on.
PHOTO_FOLDER = f"{RESULTS}/mofanerf/photo"
PHOTO_IN = PHOTO or inputs.Photo(
    "demo",
    Path(PHOTO_FOLDER, "demo.jpg"),
    Path(PHOTO_FOLDER, "demo.landmarks.txt"),
    None,
)
PHOTO_SETTINGS = {
    "photo": {k: v for k, v in config["mofanerf"]["photo"].items() if k != "detector"}
}
PHOTO_MADE = ["codes.npz", "codes.json", "relit.png", "relit.json", "fitted.png"]
PHOTO_MADE += ["views.png", "before_after.png"]


rule mofanerf_demo_photo:
    # A photo of an unseen person, tilted and unevenly lit, and its landmarks.
    input:
        faces=f"<results>/faces/{[*TEST, *TRAIN][0]}.npz",
        manifest=f"<results>/faces/{[*TEST, *TRAIN][0]}.json",
    output:
        photo="<results>/mofanerf/photo/demo.jpg",
        landmarks="<results>/mofanerf/photo/demo.landmarks.txt",
    log:
        "<logs>/mofanerf_demo_photo.log",
    benchmark:
        "<benchmarks>/mofanerf_demo_photo.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        seed=config["seed"],
        code=CODE["mofanerf_demo_photo"],
    shell:
        "python workflow/scripts/mofanerf_demo_photo.py --faces {input.faces:q} "
        "--manifest {input.manifest:q} --seed {params.seed:q} --photo {output.photo:q} &> {log:q}"


rule mofanerf_fit_photo:
    # Pose, light and codes of the face in a photo, and what the model makes of them.
    input:
        model=f"<results>/mofanerf/{MOFANERF_VARIANTS[0]}/model.safetensors",
        codes="<results>/mofanerf/codes.npz",
        photo=str(PHOTO_IN.photo),
        landmarks=str(PHOTO_IN.landmarks) if PHOTO_IN.landmarks else [],
        mask=str(PHOTO_IN.mask) if PHOTO_IN.mask else [],
        detector=config["mofanerf"]["photo"]["detector"] or [],
    output:
        made=[f"<results>/mofanerf/photo/{PHOTO_IN.name}/{made}" for made in PHOTO_MADE],
        figure=report(
            "<results>/figures/mofanerf_fit_photo.png",
            caption="../report/mofanerf_fit_photo.rst",
            category="MoFaNeRF",
            labels={"figure": "from a photo"},
        ),
    log:
        "<logs>/mofanerf_fit_photo.log",
    benchmark:
        "<benchmarks>/mofanerf_fit_photo.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        gpu=gpu,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        files=lambda wildcards, input: [
            word
            for name in ("landmarks", "mask", "detector")
            if input.get(name)
            for word in (f"--{name}", str(input[name]))
        ],
        settings=json.dumps(PHOTO_SETTINGS | {"fit": MOFANERF_FIT["fit"]}),
        work=f"{WORK}/mofanerf_fit_photo/{PHOTO_IN.name}",
        out=lambda wildcards, output: str(Path(output.made[0]).parent),
        code=CODE["mofanerf_fit_photo"],
    shell:
        "python workflow/scripts/mofanerf_fit_photo.py --model {input.model:q} "
        "--codes {input.codes:q} --photo {input.photo:q} {params.files:q} "
        "--settings {params.settings:q} --threads {threads} --work {params.work:q} "
        "--out {params.out:q} --figure {output.figure:q} &> {log:q}"
