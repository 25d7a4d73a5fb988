"""HyperLoRA for PDEs: from tasks to tables and figures. Settings: config/README.md."""

from snakemake.utils import min_version

min_version("9.0")


# A file given with --configfile stands alone: laid over the default study it would inherit its exceptions.
if not workflow.config_settings.configfiles:

    configfile: "config/config.yaml"


include: "workflow/common.smk"


wildcard_constraints:
    problem="|".join(PROBLEMS),
    method="pinn|finetuned|lora",
    mode="data|weights|distilled|physics",
    rank=r"\d+|auto|full",
    again=r"(-seed\d+)?",
    number="[123]",
    quantity="rank|time",


localrules:
    all,
    table,
    figure_fields,
    figure_error,


onstart:
    save_resolved(SETTINGS, Path(STUDY))


rule all:
    input:
        expand(f"{STUDY}/tables/table{{number}}.{{kind}}", number=[1, 2, 3], kind=["csv", "md"]),
        expand(f"{STUDY}/figures/{{problem}}.{{kind}}", problem=PROBLEMS, kind=["png", "pdf"]),
        expand(
            f"{STUDY}/figures/error_against_{{quantity}}.{{kind}}",
            quantity=["rank", "time"],
            kind=["png", "pdf"],
        ),


include: "workflow/rules/tasks.smk"
include: "workflow/rules/per_task.smk"
include: "workflow/rules/hypernetworks.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/benchmarks.smk"
