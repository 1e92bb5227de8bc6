# ImFace's numbers person by person, and how far they would move with other people.
localrules:
    imface_people,
    imface_intervals,


# Of all variants and baselines, for everybody in the test.
SCORES = collect(
    "<results>/imface/{variant}/scores/{person}.csv", variant=VARIANTS, person=TEST
) + collect(
    "<results>/baselines/{method}/scores/{person}.csv", method=BASELINES, person=TEST
)


rule imface_people:
    # Means of every test person, method by method.
    input:
        index="<results>/index.json",
        scores=SCORES,
    output:
        report(
            "<results>/tables/imface_people.csv",
            caption="../report/imface_people.rst",
            category="ImFace",
            labels={"what": "people"},
        ),
    log:
        "<logs>/imface_people.log",
    benchmark:
        "<benchmarks>/imface_people.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        code=CODE["imface_people"],
    shell:
        "python workflow/scripts/imface_people.py --scores {input.scores:q} "
        "--index {input.index:q} --out {output:q} &> {log:q}"


rule imface_intervals:
    # Means with bootstrap intervals over people, and every method less PCA.
    input:
        index="<results>/index.json",
        scores=SCORES,
    output:
        report(
            "<results>/tables/imface_intervals.csv",
            caption="../report/imface_intervals.rst",
            category="ImFace",
            labels={"what": "intervals"},
        ),
    log:
        "<logs>/imface_intervals.log",
    benchmark:
        "<benchmarks>/imface_intervals.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        seed=config["seed"],
        code=CODE["imface_intervals"],
    shell:
        "python workflow/scripts/imface_intervals.py --scores {input.scores:q} "
        "--index {input.index:q} --seed {params.seed:q} --out {output:q} &> {log:q}"
