# NFS in pictures: expressions cloned to other meshes, and where they are wrong.


rule nfs_retarget_figure:
    # Expressions of one person cloned to others.
    input:
        model=f"<results>/nfs/{NFS_VARIANTS[0]}/model.safetensors",
        people="<results>/nfs/people",
        targets=collect("<results>/operators/{mesh}.npz", mesh=NFS_SHOWN),
    output:
        figure=report(
            "<results>/figures/nfs_retarget_figure.png",
            caption="../report/nfs_retarget_figure.rst",
            category="NFS",
            labels={"figure": "expressions cloned"},
        ),
    log:
        "<logs>/nfs_retarget_figure.log",
    benchmark:
        "<benchmarks>/nfs_retarget_figure.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        targets=lambda wildcards, input: (
            ["--targets", *input.targets] if input.targets else []
        ),
        code=CODE["nfs_retarget_figure"],
    shell:
        "python workflow/scripts/nfs_retarget_figure.py --model {input.model:q} "
        "--people {input.people:q} {params.targets:q} --threads {threads} "
        "--out {output.figure:q} &> {log:q}"


rule nfs_error_maps:
    # Where cloned expressions are wrong, beside deformation transfer.
    input:
        model=f"<results>/nfs/{NFS_VARIANTS[0]}/model.safetensors",
        people="<results>/nfs/people",
    output:
        figure=report(
            "<results>/figures/nfs_error_maps.png",
            caption="../report/nfs_error_maps.rst",
            category="NFS",
            labels={"figure": "errors"},
        ),
    log:
        "<logs>/nfs_error_maps.log",
    benchmark:
        "<benchmarks>/nfs_error_maps.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        code=CODE["nfs_error_maps"],
    shell:
        "python workflow/scripts/nfs_error_maps.py --model {input.model:q} "
        "--people {input.people:q} --threads {threads} --out {output.figure:q} &> {log:q}"
