# How far reconstructed meshes lie from the scans: the same for all systems and baselines.


rule geometry_evaluate:
    # Distances between the meshes of one person by one method and the scans.
    input:
        fit="<results>/{system}/{method}/fit/{person}.npz",
        faces="<results>/faces/{person}.npz",
    output:
        ensure("<results>/{system}/{method}/scores/{person}.csv", non_empty=True),
    log:
        "<logs>/geometry_evaluate/{system}/{method}/{person}.log",
    benchmark:
        "<benchmarks>/geometry_evaluate/{system}/{method}/{person}.jsonl"
    wildcard_constraints:
        system="imface|baselines",
        method="[^/]+",
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=settings("seed", **config["evaluate"]),
        code=CODE["geometry_evaluate"],
    shell:
        "python workflow/scripts/geometry_evaluate.py --fit {input.fit:q} --faces {input.faces:q} "
        "--system {wildcards.system:q} --method {wildcards.method:q} --person {wildcards.person:q} "
        "--settings {params.settings:q} --out {output:q} &> {log:q}"
