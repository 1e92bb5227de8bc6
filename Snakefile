"""From face meshes to trained neural face systems, their tables and figures.

Start: snakemake --cores all all      One figure or table: snakemake --cores all imface_table
"""

from snakemake.utils import min_version

min_version("9.20")


configfile: "config.yaml"


include: "workflow/rules/common.smk"  # validation, people and split, code hashes, paths
include: "workflow/rules/data.smk"
include: "workflow/rules/mesh.smk"
include: "workflow/rules/render.smk"
include: "workflow/rules/imface.smk"
include: "workflow/rules/imface_tables.smk"
include: "workflow/rules/imface_fit_one.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/imface_figures.smk"
include: "workflow/rules/imface_uses.smk"
include: "workflow/rules/mofanerf.smk"
include: "workflow/rules/nfs.smk"
include: "workflow/rules/nfs_uses.smk"
include: "workflow/rules/report.smk"


if CACHE:
    for cached in filter(lambda rule: rule.cache.output, workflow.rules):
        cached._benchmark = None


onstart:
    # Snakemake (9.27) comes back to the waiting jobs after its rate limit's second once more for
    # every job that has ended: thousands of times a second in a long run. Nothing here needs it.
    workflow.scheduler.job_rate_limiter = None


localrules:
    all,
    prepare,


rule all:
    default_target: True
    input:
        collect(rules.views_render.output, person=VIEW_PEOPLE),
        rules.report.output,


rule prepare:
    input:
        rules.data_index.output,
        collect(rules.sdf_sample.output, person=PEOPLE),
        collect(rules.views_render.output, person=VIEW_PEOPLE),
