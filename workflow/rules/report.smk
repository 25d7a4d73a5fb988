rule table:
    input:
        evaluations,
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
        code=code_of("table"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job table --number {wildcards.number} --output {output.csv:q}"
        " --markdown {output.markdown:q} {input:q} >> {log:q} 2>&1"


rule figure_fields:
    input:
        made_by("evaluate"),
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
        code=code_of("figure"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job figure --kind fields --output {output.png:q} --pdf {output.pdf:q}"
        " {input:q} >> {log:q} 2>&1"


rule figure_error:
    input:
        evaluations,
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
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code_of("figure"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job figure --kind {wildcards.quantity} --output {output.png:q} --pdf {output.pdf:q}"
        " {input:q} >> {log:q} 2>&1"
