"""What goes wrong on a cluster, one rule per mishap; each ends well on its second attempt."""

MISHAPS = ["gpu", "cancelled", "memory", "lost"]


localrules:
    all,


rule all:
    input:
        collect("{mishap}.txt", mishap=MISHAPS),


rule gpu:
    # One device of a node that has two.
    output:
        "gpu.txt",
    resources:
        gpu=1,
        mem_mb=200,
    shell:
        "env | grep -E '^(SLURM_JOB_PARTITION|CUDA_VISIBLE_DEVICES)=' > {output}"


rule cancelled:
    # The first attempt runs until somebody cancels it.
    output:
        "cancelled.txt",
    resources:
        mem_mb=200,
        attempt=lambda wildcards, attempt: attempt,
    shell:
        "[ {resources.attempt} -gt 1 ] || sleep 600; echo {resources.attempt} > {output}"


rule memory:
    # The first attempt fails, as it does when memory runs out.
    output:
        "memory.txt",
    resources:
        mem_mb=lambda wildcards, attempt: 200 * 2**attempt,
        attempt=lambda wildcards, attempt: attempt,
    shell:
        "[ {resources.attempt} -gt 1 ] && echo {resources.attempt} > {output}"


rule lost:
    # The first attempt runs on node n2 until that node is gone.
    output:
        "lost.txt",
    resources:
        mem_mb=200,
        attempt=lambda wildcards, attempt: attempt,
        slurm_extra=lambda wildcards, attempt: "--exclude=n1" if attempt == 1 else "",
    shell:
        "[ {resources.attempt} -gt 1 ] || (touch lost.begun; sleep 600); "
        "echo $SLURMD_NODENAME > {output}"


rule timeout:
    # One minute is the least that Slurm knows; the second attempt has two.
    output:
        "timeout.txt",
    resources:
        mem_mb=200,
        runtime=lambda wildcards, attempt: attempt,
        attempt=lambda wildcards, attempt: attempt,
    shell:
        "[ {resources.attempt} -gt 1 ] || sleep 600; echo {resources.attempt} > {output}"
