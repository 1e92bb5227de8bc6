# From scans to aligned, cropped and closed faces, and from those to signed distance samples.
localrules:
    imface_layout,


UNIT = config["facescape"]["millimetres_per_unit"] if KIND == "facescape" else 1.0


rule mesh_prepare:
    # All expressions of one person in the face frame: sheet, closed head, landmarks.
    input:
        scans=scans,
        topology="<results>/topology",
    output:
        pack=ensure("<results>/faces/{person}.npz", non_empty=True),
        manifest=ensure("<results>/faces/{person}.json", non_empty=True),
    log:
        "<logs>/mesh_prepare/{person}.log",
    benchmark:
        "<benchmarks>/mesh_prepare/{person}.jsonl"
    cache: CACHE
    priority: 20  # before the long jobs, which wait for everybody
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        person="{person}",
        folder=f"{TREE}/{{person}}",
        work=f"{WORK}/mesh_prepare/{{person}}",
        settings=settings(
            "max_failed_scans",
            **config["mesh"],
            expressions=EXPRESSIONS,
            millimetres_per_unit=UNIT,
        ),
        code=CODE["mesh_prepare"],
    shell:
        "python workflow/scripts/mesh_prepare.py --person {params.person:q} "
        "--tree-person {params.folder:q} --topology {input.topology:q} "
        "--settings {params.settings:q} "
        "--work {params.work:q} "
        "--pack {output.pack:q} --manifest {output.manifest:q} &> {log:q}"


rule sdf_sample:
    # Points with normals on each face and with signed distances around it, shuffled for training.
    input:
        faces="<results>/faces/{person}.npz",
    output:
        pack=ensure("<results>/samples/{person}.npy", non_empty=True),
        manifest=ensure("<results>/samples/{person}.json", non_empty=True),
    log:
        "<logs>/sdf_sample/{person}.log",
    benchmark:
        "<benchmarks>/sdf_sample/{person}.jsonl"
    cache: CACHE
    priority: 20  # before the long jobs, which wait for everybody
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        person="{person}",
        work=f"{WORK}/mesh_prepare/{{person}}",
        settings=settings(
            "seed", **config["sdf"], crop_radius=config["mesh"]["crop_radius"]
        ),
        code=CODE["sdf_sample"],
    shell:
        "python workflow/scripts/sdf_sample.py --faces {input.faces:q} "
        "--settings {params.settings:q} "
        "--pack {output.pack:q} --manifest {output.manifest:q} &> {log:q}"


ruleorder: imface_layout_template > imface_layout_person


rule imface_layout_template:
    # The landmarks of the template face, beside the people, where the authors' code looks for them.
    input:
        collect("<results>/faces/{person}.npz", person=TRAIN),
    output:
        ensure("<results>/imface_layout/FacescapeNormal.bnd", non_empty=True),
    log:
        "<logs>/imface_layout/template.log",
    benchmark:
        "<benchmarks>/imface_layout/template.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        code=CODE["imface_layout_template"],
    shell:
        "python workflow/scripts/imface_layout_template.py --faces {input:q} --out {output:q} &> {log:q}"


rule imface_layout_person:
    # The same samples in the layout that the authors' own training code reads.
    input:
        faces="<results>/faces/{person}.npz",
        samples="<results>/samples/{person}.npy",
        manifest="<results>/samples/{person}.json",
    output:
        directory("<results>/imface_layout/{person}"),
    log:
        "<logs>/imface_layout/{person}.log",
    benchmark:
        "<benchmarks>/imface_layout/{person}.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        code=CODE["imface_layout"],
    shell:
        "python workflow/scripts/imface_layout.py --faces {input.faces:q} "
        "--samples {input.samples:q} --person {wildcards.person:q} --out {output:q} &> {log:q}"


rule imface_layout:
    input:
        rules.imface_layout_template.output,
        collect(rules.imface_layout_person.output, person=PEOPLE),
