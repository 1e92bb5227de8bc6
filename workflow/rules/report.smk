# All systems side by side, the interactive page, and the page that shows everything.
localrules:
    compare_table,
    report,


# In the order of the page. Walks between people need two of them.
FIGURES = ["data_sheet", "mesh_figure", "views_sheet", "imface_reconstruction"]
FIGURES += ["imface_interpolation"] if len(TEST) > 1 else []
FIGURES += ["imface_expressions", "imface_transfer", "imface_correspondence_colours"]
FIGURES += ["imface_texture_transfer", "imface_random", "imface_curves"]
if "mofanerf" in SYSTEMS:
    FIGURES += ["mofanerf_novel_views", *MOFANERF_FIGURES, "mofanerf_fit_photo"]
    FIGURES += (
        [] if config["mofanerf"]["refine"] is None else ["mofanerf_refine_figure"]
    )
if "nfs" in SYSTEMS:
    FIGURES += ["nfs_retarget_figure", "nfs_error_maps"]
    FIGURES += ["nfs_rig_sheet", "nfs_segments_figure"]
# Correspondence needs two scans of unseen people to be measured.
TABLES = ["compare", "imface_intervals", "imface_people"]
TABLES += ["imface_correspondence"] if len(TEST) * len(EXPRESSIONS) > 1 else []


rule compare_table:
    # The tables of all systems under each other.
    input:
        tables=collect("<results>/tables/{system}.csv", system=SYSTEMS),
    output:
        table=report(
            "<results>/tables/compare.csv",
            caption="../report/compare_table.rst",
            category="Comparison",
            labels={"table": "all systems"},
        ),
    log:
        "<logs>/compare_table.log",
    benchmark:
        "<benchmarks>/compare_table.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        code=CODE["compare_table"],
    shell:
        "python workflow/scripts/compare_table.py --tables {input.tables:q} "
        "--out {output.table:q} &> {log:q}"


rule viewer:
    # Scans and reconstructions of unseen people, to be turned by hand.
    input:
        fits=FITS,
        faces=collect("<results>/faces/{person}.npz", person=TEST),
    output:
        page=report(
            "<results>/report/viewer.html",
            caption="../report/viewer.rst",
            category="Interactive",
            labels={"page": "scans and reconstructions"},
        ),
    log:
        "<logs>/viewer.log",
    benchmark:
        "<benchmarks>/viewer.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        code=CODE["viewer"],
    shell:
        "python workflow/scripts/viewer.py --fits {input.fits:q} --faces {input.faces:q} "
        "--out {output.page:q} &> {log:q}"


rule report:
    # One page with everything in it, to be opened without a network.
    input:
        index="<results>/index.json",
        tables=collect("<results>/tables/{table}.csv", table=TABLES),
        figures=collect("<results>/figures/{figure}.png", figure=FIGURES),
        captions=collect("workflow/report/{shown}.rst", shown=FIGURES + TABLES[1:]),
        viewer="<results>/report/viewer.html",
        runs=collect("<results>/imface/{variant}/run.json", variant=VARIANTS),
    output:
        page=ensure("<results>/report.html", non_empty=True),
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.jsonl"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        name=NAME,
        captions=lambda wildcards, input: str(Path(input.captions[0]).parent),
        settings=json.dumps(config),
        code=CODE["report"],
    shell:
        "python workflow/scripts/report.py --name {params.name:q} --index {input.index:q} "
        "--tables {input.tables:q} --figures {input.figures:q} --captions {params.captions:q} "
        "--viewer {input.viewer:q} --runs {input.runs:q} --settings {params.settings:q} "
        "--out {output.page:q} &> {log:q}"
