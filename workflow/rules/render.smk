# Images, depth and normals of each face from a grid of cameras.


rule views_render:
    # All views of one person, in one archive with its cameras.
    input:
        scans=viewed_scans,
        faces=f"{VIEWED}/{{person}}.npz",
        manifest=f"{VIEWED}/{{person}}.json",
    output:
        pack=ensure("<results>/views/{person}.zip", non_empty=True),
        manifest=ensure("<results>/views/{person}.json", non_empty=True),
    log:
        "<logs>/views_render/{person}.log",
    benchmark:
        "<benchmarks>/views_render/{person}.jsonl"
    cache: CACHE
    priority: 20  # before the long jobs, which wait for everybody
    conda:
        "../../envs/render.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        person="{person}",
        settings=settings(**{k: v for k, v in config["views"].items() if k != "people"}),
        code=CODE["views_render"],
    shell:
        "python workflow/scripts/views_render.py --faces {input.faces:q} "
        "--manifest {input.manifest:q} --settings {params.settings:q} "
        "--pack {output.pack:q} --manifest-out {output.manifest:q} &> {log:q}"
