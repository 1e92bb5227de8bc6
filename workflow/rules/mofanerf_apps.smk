# Unseen people from one image each, and the settings of all that MoFaNeRF is good for.


# Settings as JSON; fits are of the first variant.
MOFANERF_FIT = {
    **config["mofanerf"]["fit_people"],
    "fit": config["mofanerf"]["fit"] | {"seed": config["seed"]},
}
MOFANERF_FITTED = [person for person in TEST if person in VIEW_PEOPLE]
MOFANERF_FITTED = MOFANERF_FITTED[: MOFANERF_FIT.pop("people")]
MOFANERF_APPS = dict(config["mofanerf"]["apps"])
MOFANERF_TABLES = {f"--{name}": MOFANERF_APPS.pop(name) for name in ("weights", "rig")}
MOFANERF_APPS["random"] = MOFANERF_APPS["random"] | {"seed": config["seed"]}
MOFANERF_MESH = dict(config["mofanerf"]["mesh"])
MESH_PERSON = MOFANERF_MESH.pop("person") or next(
    (person for person in TRAIN if person in VIEW_PEOPLE), PEOPLE[0]
)
MESH_EXPRESSION = MOFANERF_MESH.pop("expression") or EXPRESSIONS[0]
MOFANERF_MODEL = f"<results>/mofanerf/{MOFANERF_VARIANTS[0]}/model.safetensors"
MOFANERF_FITS = collect(
    f"<results>/mofanerf/{MOFANERF_VARIANTS[0]}/fit/{{person}}.npz",
    person=MOFANERF_FITTED,
)
# Nothing is measured or drawn of fits where none of the rendered people was held out.
MOFANERF_FIT_SCORES = ["<results>/mofanerf/fit_scores.csv"] if MOFANERF_FITTED else []
MOFANERF_FIGURES = ["mofanerf_fit_figure"] if MOFANERF_FITTED else []
MOFANERF_FIGURES += [
    f"mofanerf_{x}" for x in ("interpolation", "random_faces", "rigging")
]
# Part of `all`, though no page of the report can hold it.
MOFANERF_EXTRAS = [
    "<results>/figures/mofanerf_turntable.gif",
    "<results>/mofanerf/mesh/face.ply",
]
MOFANERF_EXTRAS = MOFANERF_EXTRAS if "mofanerf" in SYSTEMS else []
MOFANERF_REPORTS = [path.replace(".npz", ".json") for path in MOFANERF_FITS]


rule mofanerf_fit:
    # Codes, pose and brightness of one unseen person from one image.
    input:
        model="<results>/mofanerf/{radiance}/model.safetensors",
        codes="<results>/mofanerf/codes.npz",
        split="<results>/mofanerf/split.json",
        views="<results>/views/{person}.zip",
    output:
        fit=ensure("<results>/mofanerf/{radiance}/fit/{person}.npz", non_empty=True),
        report=ensure("<results>/mofanerf/{radiance}/fit/{person}.json", non_empty=True),
    log:
        "<logs>/mofanerf_fit/{radiance}/{person}.log",
    benchmark:
        "<benchmarks>/mofanerf_fit/{radiance}/{person}.jsonl"
    wildcard_constraints:
        radiance="|".join(MOFANERF_VARIANTS),
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        gpu=gpu,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        views=lambda wildcards, input: str(Path(input.views).parent),
        work=f"{WORK}/mofanerf_fit/{{radiance}}/{{person}}",
        settings=json.dumps(MOFANERF_FIT),
        code=CODE["mofanerf_fit"],
    shell:
        "python workflow/scripts/mofanerf_fit.py --model {input.model:q} --codes {input.codes:q} "
        "--split {input.split:q} --views {params.views:q} --person {wildcards.person:q} "
        "--settings {params.settings:q} --threads {threads} --work {params.work:q} "
        "--out {output.fit:q} --report {output.report:q} &> {log:q}"


rule mofanerf_fit_evaluate:
    # Views that the fits never saw, beside the truth and the mean face.
    input:
        model=MOFANERF_MODEL,
        codes="<results>/mofanerf/codes.npz",
        fits=MOFANERF_FITS,
        reports=MOFANERF_REPORTS,
        views=collect("<results>/views/{person}.zip", person=MOFANERF_FITTED),
    output:
        scores=ensure("<results>/mofanerf/fit_scores.csv", non_empty=True),
    log:
        "<logs>/mofanerf_fit_evaluate.log",
    benchmark:
        "<benchmarks>/mofanerf_fit_evaluate.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        views=lambda wildcards, input: str(Path(input.views[0]).parent),
        method=MOFANERF_VARIANTS[0],
        settings=json.dumps(MOFANERF_FIT),
        code=CODE["mofanerf_fit_evaluate"],
    shell:
        "python workflow/scripts/mofanerf_fit_evaluate.py --model {input.model:q} "
        "--codes {input.codes:q} --views {params.views:q} --fits {input.fits:q} "
        "--method {params.method:q} --settings {params.settings:q} --threads {threads} "
        "--out {output.scores:q} &> {log:q}"


rule mofanerf_fit_figure:
    # Unseen people: the image, before, after, and other views.
    input:
        model=MOFANERF_MODEL,
        codes="<results>/mofanerf/codes.npz",
        fits=MOFANERF_FITS,
        reports=MOFANERF_REPORTS,
        views=collect("<results>/views/{person}.zip", person=MOFANERF_FITTED),
    output:
        figure=report(
            "<results>/figures/mofanerf_fit_figure.png",
            caption="../report/mofanerf_fit_figure.rst",
            category="MoFaNeRF",
            labels={"figure": "fits to one image"},
        ),
    log:
        "<logs>/mofanerf_fit_figure.log",
    benchmark:
        "<benchmarks>/mofanerf_fit_figure.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        views=lambda wildcards, input: str(Path(input.views[0]).parent),
        settings=json.dumps(MOFANERF_FIT),
        code=CODE["mofanerf_fit_figure"],
    shell:
        "python workflow/scripts/mofanerf_fit_figure.py --model {input.model:q} "
        "--codes {input.codes:q} --views {params.views:q} --fits {input.fits:q} "
        "--settings {params.settings:q} --threads {threads} --out {output.figure:q} &> {log:q}"
