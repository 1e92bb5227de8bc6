# Pictures of the data: what came in, what became of it, what the cameras see.

# At most so many people; the person and the expression whose scan is taken apart.
SHOWN, ONE = PEOPLE[:6], PEOPLE[0]
PRESENT = tree.scans_in(f"{TREE}/{ONE}") or EXPRESSIONS
FIRST = next(
    (expression for expression in EXPRESSIONS if expression in PRESENT), EXPRESSIONS[0]
)


rule data_sheet:
    # People by expressions.
    input:
        faces=collect("<results>/faces/{person}.npz", person=SHOWN),
        manifests=collect("<results>/faces/{person}.json", person=SHOWN),
    output:
        figure=report(
            "<results>/figures/data_sheet.png",
            caption="../report/data_sheet.rst",
            category="Data",
            labels={"figure": "people and expressions"},
        ),
    log:
        "<logs>/data_sheet.log",
    benchmark:
        "<benchmarks>/data_sheet.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        expressions=EXPRESSIONS[:8],
        code=CODE["data_sheet"],
    shell:
        "python workflow/scripts/data_sheet.py --faces {input.faces:q} "
        "--expressions {params.expressions:q} --out {output.figure:q} &> {log:q}"


rule mesh_figure:
    # One scan on its way: whole, cropped to the visible sheet, closed, sampled.
    input:
        faces=f"<results>/faces/{ONE}.npz",
        samples=f"<results>/samples/{ONE}.npy",
        manifest=f"<results>/samples/{ONE}.json",
    output:
        figure=report(
            "<results>/figures/mesh_figure.png",
            caption="../report/mesh_figure.rst",
            category="Data",
            labels={"figure": "from scan to samples"},
        ),
    log:
        "<logs>/mesh_figure.log",
    benchmark:
        "<benchmarks>/mesh_figure.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        expression=FIRST,
        code=CODE["mesh_figure"],
    shell:
        "python workflow/scripts/mesh_figure.py --faces {input.faces:q} "
        "--samples {input.samples:q} --expression {params.expression:q} --out {output.figure:q} &> {log:q}"


rule views_sheet:
    # What the cameras see.
    input:
        views=collect("<results>/views/{person}.zip", person=VIEW_PEOPLE[:3]),
    output:
        figure=report(
            "<results>/figures/views_sheet.png",
            caption="../report/views_sheet.rst",
            category="Data",
            labels={"figure": "views"},
        ),
    log:
        "<logs>/views_sheet.log",
    benchmark:
        "<benchmarks>/views_sheet.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        code=CODE["views_sheet"],
    shell:
        "python workflow/scripts/views_sheet.py --views {input.views:q} --out {output.figure:q} &> {log:q}"
