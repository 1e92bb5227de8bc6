# Figures of the data, all systems side by side, and the page that shows it all.
localrules:
    compare_table,
    report,


rule compare_table:
    # The tables of all systems under each other.
    input:
        tables=collect("<results>/tables/{system}.csv", system=SYSTEMS),
    output:
        ensure("<results>/tables/compare.csv", non_empty=True),
    log:
        "<logs>/compare_table.log",
    benchmark:
        "<benchmarks>/compare_table.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        code=CODE["compare_table"],
    shell:
        "python workflow/scripts/compare_table.py --tables {input.tables:q} --out {output:q} "
        "&> {log:q}"


rule report:
    # One page with everything in it, to be opened without a network.
    input:
        index="<results>/index.json",
        tables=[
            *collect("<results>/tables/{system}.csv", system=SYSTEMS),
        ],
        runs=collect("<results>/imface/{variant}/run.json", variant=VARIANTS),
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=10,
    params:
        name=NAME,
        captions="workflow/report",
        settings=json.dumps(config),
        code=CODE["report"],
    shell:
        "python workflow/scripts/report.py --name {params.name:q} --index {input.index:q} "
        "--tables {input.tables:q} --runs {input.runs:q} "
        "--settings {params.settings:q} --out {output:q} &> {log:q}"
