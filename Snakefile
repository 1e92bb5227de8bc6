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
include: "workflow/rules/mofanerf_apps.smk"
include: "workflow/rules/mofanerf_uses.smk"
include: "workflow/rules/mofanerf_photo.smk"
include: "workflow/rules/mofanerf_refine.smk"
include: "workflow/rules/nfs.smk"
include: "workflow/rules/nfs_figures.smk"
include: "workflow/rules/nfs_uses.smk"
include: "workflow/rules/report.smk"


if CACHE:
    for cached in filter(lambda rule: rule.cache.output, workflow.rules):
        cached._benchmark = None


onstart:
    # Snakemake (9.27) wakes for waiting jobs once for every job ended: thousands of times a second.
    workflow.scheduler.job_rate_limiter = None


localrules:
    all,
    prepare,


rule all:
    default_target: True
    input:
        collect(rules.views_render.output, person=VIEW_PEOPLE),
        rules.report.output,
        MOFANERF_EXTRAS,


rule prepare:
    input:
        rules.data_index.output,
        collect(rules.sdf_sample.output, person=PEOPLE),
        collect(rules.views_render.output, person=VIEW_PEOPLE),
