rule table:
    input:
        unpack(inputs_of("table")),
    output:
        csv=report(
            f"{STUDY}/tables/table{{number}}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{number}"},
        ),
        markdown=f"{STUDY}/tables/table{{number}}.md",
    log:
        f"{STUDY}/logs/tables/table{{number}}.log",
    benchmark:
        f"{STUDY}/benchmarks/tables/table{{number}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        command=command_of("table"),
    shell:
        "python -m pinnlora job {params.command} --output {output.csv:q}"
        " --markdown {output.markdown:q} > {log:q} 2>&1"


rule figure_fields:
    input:
        unpack(inputs_of("figure")),
    output:
        png=report(
            f"{STUDY}/figures/{{problem}}.png",
            caption="../report/fields.rst",
            category="Figures",
            labels={"figure": "fields", "problem": "{problem}"},
        ),
        pdf=f"{STUDY}/figures/{{problem}}.pdf",
    log:
        f"{STUDY}/logs/figures/{{problem}}.log",
    benchmark:
        f"{STUDY}/benchmarks/figures/{{problem}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        command=command_of("figure"),
    shell:
        "python -m pinnlora job {params.command} --output {output.png:q} --pdf {output.pdf:q} > {log:q} 2>&1"


use rule figure_fields as figure_error with:
    output:
        png=report(
            f"{STUDY}/figures/error_against_{{quantity}}.png",
            caption="../report/error.rst",
            category="Figures",
            labels={"figure": "error against {quantity}", "problem": "all"},
        ),
        pdf=f"{STUDY}/figures/error_against_{{quantity}}.pdf",
    log:
        f"{STUDY}/logs/figures/error_against_{{quantity}}.log",
    benchmark:
        f"{STUDY}/benchmarks/figures/error_against_{{quantity}}.tsv"
