# MoFaNeRF and pictures from elsewhere: raw multi-view scans, and photos of people nobody scanned.


if MULTIVIEW:

    rule mofanerf_align:
        # One person's raw scans on their registered meshes, measured, and without shoulders.
        input:
            scans=viewed_scans,
            faces="<results>/faces/{person}.npz",
            manifest="<results>/faces/{person}.json",
            dictionary=config["mofanerf"]["raw_scans"]["dictionary"] or [],
        output:
            pack=ensure(f"{VIEWED}/{{person}}.npz", non_empty=True),
            manifest=ensure(f"{VIEWED}/{{person}}.json", non_empty=True),
        log:
            "<logs>/mofanerf_align/{person}.log",
        benchmark:
            "<benchmarks>/mofanerf_align/{person}.jsonl"
        conda:
            "../../envs/mesh.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 6000 * attempt,
            runtime=lambda wildcards, attempt: 60 * attempt,
        params:
            person="{person}",
            dictionary=lambda wildcards, input: (
                ["--dictionary", input.dictionary] if input.dictionary else []
            ),
            settings=json.dumps(
                {"max_residual": config["mofanerf"]["raw_scans"]["max_residual"]}
            ),
            code=CODE["mofanerf_align"],
        shell:
            "python workflow/scripts/mofanerf_align.py --person {params.person:q} "
            "--scans {input.scans:q} --faces {input.faces:q} --manifest {input.manifest:q} "
            "{params.dictionary:q} --settings {params.settings:q} --pack {output.pack:q} "
            "--manifest-out {output.manifest:q} &> {log:q}"
