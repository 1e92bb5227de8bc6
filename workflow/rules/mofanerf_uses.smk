# Walks between MoFaNeRF's codes, faces of nobody, driven faces, a turning head, a mesh.


rule mofanerf_interpolation:
    # Walks from one person to another, in all codes and in one kind at a time.
    input:
        model=MOFANERF_MODEL,
        codes="<results>/mofanerf/codes.npz",
        fits=MOFANERF_FITS,
    output:
        figure=report(
            "<results>/figures/mofanerf_interpolation.png",
            caption="../report/mofanerf_interpolation.rst",
            category="MoFaNeRF",
            labels={"figure": "walks between codes"},
        ),
    log:
        "<logs>/mofanerf_interpolation.log",
    benchmark:
        "<benchmarks>/mofanerf_interpolation.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=json.dumps(MOFANERF_APPS),
        code=CODE["mofanerf_interpolation"],
    shell:
        "python workflow/scripts/mofanerf_interpolation.py --model {input.model:q} "
        "--codes {input.codes:q} --fits {input.fits:q} --settings {params.settings:q} "
        "--threads {threads} --out {output.figure:q} &> {log:q}"


rule mofanerf_random_faces:
    # People who do not exist.
    input:
        model=MOFANERF_MODEL,
        codes="<results>/mofanerf/codes.npz",
    output:
        figure=report(
            "<results>/figures/mofanerf_random_faces.png",
            caption="../report/mofanerf_random_faces.rst",
            category="MoFaNeRF",
            labels={"figure": "people who do not exist"},
        ),
    log:
        "<logs>/mofanerf_random_faces.log",
    benchmark:
        "<benchmarks>/mofanerf_random_faces.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=json.dumps(MOFANERF_APPS),
        code=CODE["mofanerf_random_faces"],
    shell:
        "python workflow/scripts/mofanerf_random_faces.py --model {input.model:q} "
        "--codes {input.codes:q} --settings {params.settings:q} --threads {threads} "
        "--out {output.figure:q} &> {log:q}"


rule mofanerf_rigging:
    # People driven by expression weights, as a matrix and image by image.
    input:
        model=MOFANERF_MODEL,
        codes="<results>/mofanerf/codes.npz",
        fits=MOFANERF_FITS,
        tables=[path for path in MOFANERF_TABLES.values() if path],
    output:
        figure=report(
            "<results>/figures/mofanerf_rigging.png",
            caption="../report/mofanerf_rigging.rst",
            category="MoFaNeRF",
            labels={"figure": "faces driven by weights"},
        ),
        frames=directory("<results>/mofanerf/rigging"),
    log:
        "<logs>/mofanerf_rigging.log",
    benchmark:
        "<benchmarks>/mofanerf_rigging.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=json.dumps(MOFANERF_APPS),
        tables=[
            part
            for name, path in MOFANERF_TABLES.items()
            if path
            for part in (name, path)
        ],
        code=CODE["mofanerf_rigging"],
    shell:
        "python workflow/scripts/mofanerf_rigging.py --model {input.model:q} "
        "--codes {input.codes:q} --fits {input.fits:q} {params.tables:q} "
        "--settings {params.settings:q} --threads {threads} --frames {output.frames:q} "
        "--out {output.figure:q} &> {log:q}"


rule mofanerf_turntable:
    # A head that turns and changes its expression, as an animation.
    input:
        model=MOFANERF_MODEL,
        codes="<results>/mofanerf/codes.npz",
        fits=MOFANERF_FITS,
    output:
        figure=report(
            "<results>/figures/mofanerf_turntable.gif",
            caption="../report/mofanerf_turntable.rst",
            category="MoFaNeRF",
            labels={"figure": "a turning head"},
        ),
    log:
        "<logs>/mofanerf_turntable.log",
    benchmark:
        "<benchmarks>/mofanerf_turntable.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=json.dumps(MOFANERF_APPS),
        code=CODE["mofanerf_turntable"],
    shell:
        "python workflow/scripts/mofanerf_turntable.py --model {input.model:q} "
        "--codes {input.codes:q} --fits {input.fits:q} --settings {params.settings:q} "
        "--threads {threads} --out {output.figure:q} &> {log:q}"


rule mofanerf_mesh:
    # The density of a person with an expression as a mesh, and how far it is off.
    input:
        model=MOFANERF_MODEL,
        codes="<results>/mofanerf/codes.npz",
        faces=f"<results>/faces/{MESH_PERSON}.npz",
    output:
        ply="<results>/mofanerf/mesh/face.ply",
        obj="<results>/mofanerf/mesh/face.obj",
        report=ensure("<results>/mofanerf/mesh/face.json", non_empty=True),
    log:
        "<logs>/mofanerf_mesh.log",
    benchmark:
        "<benchmarks>/mofanerf_mesh.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        person=MESH_PERSON,
        expression=MESH_EXPRESSION,
        settings=json.dumps(MOFANERF_MESH),
        code=CODE["mofanerf_mesh"],
    shell:
        "python workflow/scripts/mofanerf_mesh.py --model {input.model:q} --codes {input.codes:q} "
        "--faces {input.faces:q} --person {params.person:q} --expression {params.expression:q} "
        "--settings {params.settings:q} --threads {threads} --ply {output.ply:q} "
        "--obj {output.obj:q} --report {output.report:q} &> {log:q}"
