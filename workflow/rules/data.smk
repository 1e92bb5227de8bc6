# From a source to one tree of scans, the meaning of their vertices, and the list of people.
localrules:
    data_index,
    ict_fetch,


# What a source depends on, besides the person.
SOURCE = ["dataset", "facescape_root", "ict_model", "seed", "expressions"]
SOURCE += [KIND] if KIND in config else []
ICT_MODEL = []
if KIND == "ict":
    ICT_MODEL = str(
        sources.ict_model_folder(config)
        / (ict.MODEL_FILE if config["ict_model"] else "")
    )


rule ict_fetch:
    # The public ICT-FaceKit release at a pinned commit, checked and packed.
    output:
        directory("resources/ict/model"),
    log:
        "logs/ict_fetch.log",
    benchmark:
        "logs/ict_fetch.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        code=CODE["ict_fetch"],
    shell:
        "python workflow/scripts/ict_fetch.py --out {output:q} &> {log:q}"


rule data_topology:
    # What the vertex numbers mean: landmarks, regions, triangles.
    input:
        model=ICT_MODEL,
    output:
        directory("<results>/topology"),
    log:
        "<logs>/data_topology.log",
    benchmark:
        "<benchmarks>/data_topology.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        dataset=config["dataset"],
        settings=settings(*SOURCE),
        code=CODE["data_topology"],
    shell:
        "python workflow/scripts/data_topology.py --dataset {params.dataset:q} "
        "--settings {params.settings:q} --out {output:q} &> {log:q}"


if KIND in sources.WRITTEN:

    rule data_person:
        # One person's scans as a tree of meshes and textures: made up, drawn from a model, or aligned.
        input:
            model=ICT_MODEL,
        output:
            directory("<tree>/{person}"),
        log:
            "<logs>/data_person/{person}.log",
        benchmark:
            "<benchmarks>/data_person/{person}.jsonl"
        cache: CACHE
        priority: 20  # before the long jobs, which wait for everybody
        conda:
            "../../envs/mesh.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=lambda wildcards, attempt: 30 * attempt,
        params:
            person="{person}",
            dataset=config["dataset"],
            settings=settings(*SOURCE),
            code=CODE["data_person"],
        shell:
            "python workflow/scripts/data_person.py --dataset {params.dataset:q} "
            "--person {params.person:q} --settings {params.settings:q} "
            "--out {output:q} &> {log:q}"


rule data_index:
    # People, expressions, split: the only file that lists them.
    input:
        people=collect("<tree>/{person}", person=PEOPLE),
    output:
        ensure("<results>/index.json", non_empty=True),
    log:
        "<logs>/data_index.log",
    benchmark:
        "<benchmarks>/data_index.jsonl"
    conda:
        "../../envs/mesh.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        dataset=config["dataset"],
        tree=lambda wildcards, input: str(Path(input.people[0]).parent),
        people=json.dumps(PEOPLE),
        settings=settings("expressions", "split", "seed"),
        code=CODE["data_index"],
    shell:
        "python workflow/scripts/data_index.py --dataset {params.dataset:q} --tree {params.tree:q} "
        "--people {params.people:q} --settings {params.settings:q} --out {output:q} &> {log:q}"
