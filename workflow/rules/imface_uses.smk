# What ImFace's codes and template are good for: correspondence, textures, random faces, meshes.
localrules:
    imface_meshes,


rule imface_correspondence:
    # Points carried from scan to scan through the template, against where they truly are.
    input:
        index="<results>/index.json",
        faces=collect("<results>/faces/{person}.npz", person=TEST),
        models=collect("<results>/imface/{variant}/model.safetensors", variant=VARIANTS),
        fits=collect(
            "<results>/imface/{variant}/fit/{person}.npz",
            variant=VARIANTS,
            person=TEST,
        ),
    output:
        table=report(
            "<results>/tables/imface_correspondence.csv",
            caption="../report/imface_correspondence.rst",
            category="ImFace",
            labels={"what": "correspondence"},
        ),
    log:
        "<logs>/imface_correspondence.log",
    benchmark:
        "<benchmarks>/imface_correspondence.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        faces=lambda wildcards, input: str(Path(input.faces[0]).parent),
        variants=[
            part
            for variant in VARIANTS
            for part in (
                "--variant",
                variant,
                f"{RESULTS}/imface/{variant}/model.safetensors",
                f"{RESULTS}/imface/{variant}/fit",
            )
        ],
        settings=settings("seed", **config["imface"]["correspondence"]),
        code=CODE["imface_correspondence"],
    shell:
        "python workflow/scripts/imface_correspondence.py --index {input.index:q} "
        "--faces {params.faces:q} {params.variants:q} --settings {params.settings:q} --out {output.table:q} &> {log:q}"


rule imface_correspondence_colours:
    # Every point in the colour of its place on the template.
    input:
        model=MODEL,
        fits=FITS,
    output:
        figure=report(
            "<results>/figures/imface_correspondence_colours.png",
            caption="../report/imface_correspondence_colours.rst",
            category="ImFace",
            labels={"figure": "correspondence"},
        ),
    log:
        "<logs>/imface_correspondence_colours.log",
    benchmark:
        "<benchmarks>/imface_correspondence_colours.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=json.dumps(config["imface"]["figures"]),
        code=CODE["imface_correspondence_colours"],
    shell:
        "python workflow/scripts/imface_correspondence_colours.py --model {input.model:q} "
        "--fits {input.fits:q} --settings {params.settings:q} --out {output.figure:q} &> {log:q}"


rule imface_texture_transfer:
    # Everybody in everybody's skin.
    input:
        model=MODEL,
        fits=FITS,
        faces=collect("<results>/faces/{person}.npz", person=TEST),
        manifests=collect("<results>/faces/{person}.json", person=TEST),
    output:
        figure=report(
            "<results>/figures/imface_texture_transfer.png",
            caption="../report/imface_texture_transfer.rst",
            category="ImFace",
            labels={"figure": "texture transfer"},
        ),
    log:
        "<logs>/imface_texture_transfer.log",
    benchmark:
        "<benchmarks>/imface_texture_transfer.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        faces=lambda wildcards, input: str(Path(input.faces[0]).parent),
        settings=json.dumps(config["imface"]["figures"]),
        code=CODE["imface_texture_transfer"],
    shell:
        "python workflow/scripts/imface_texture_transfer.py --model {input.model:q} "
        "--fits {input.fits:q} --faces {params.faces:q} --settings {params.settings:q} --out {output.figure:q} &> {log:q}"


rule imface_random:
    # People who do not exist, as a picture and as meshes.
    input:
        model=MODEL,
    output:
        figure=report(
            "<results>/figures/imface_random.png",
            caption="../report/imface_random.rst",
            category="ImFace",
            labels={"figure": "random faces"},
        ),
        meshes=directory(f"<results>/imface/{MAIN}/random"),
    log:
        "<logs>/imface_random.log",
    benchmark:
        "<benchmarks>/imface_random.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=json.dumps(config["imface"]["figures"]),
        draw=settings("seed", **config["imface"]["random"]),
        code=CODE["imface_random"],
    shell:
        "python workflow/scripts/imface_random.py --model {input.model:q} --settings {params.settings:q} "
        "--draw {params.draw:q} --out {output.figure:q} --meshes {output.meshes:q} &> {log:q}"


rule imface_export:
    # One person's reconstructions as PLY files, with normals from the field.
    input:
        model="<results>/imface/{variant}/model.safetensors",
        fit="<results>/imface/{variant}/fit/{person}.npz",
    output:
        directory("<results>/imface/{variant}/meshes/{person}"),
    log:
        "<logs>/imface_export/{variant}/{person}.log",
    benchmark:
        "<benchmarks>/imface_export/{variant}/{person}.jsonl"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=json.dumps(config["imface"]["export"]),
        code=CODE["imface_export"],
    shell:
        "python workflow/scripts/imface_export.py --model {input.model:q} --fit {input.fit:q} "
        "--settings {params.settings:q} --out {output:q} &> {log:q}"


rule imface_meshes:
    input:
        collect(rules.imface_export.output, variant=VARIANTS, person=TEST),
