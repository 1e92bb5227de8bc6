rule all:
    input:
        "results/slow.txt",


rule slow:
    output:
        "results/slow.txt",
    shell:
        "python workflow/scripts/slow.py {output}"
