rule dimensions:
    input:
        code=measured_code,
    output:
        f"{SETTINGS.results}/high_dimensions.csv",
    log:
        f"{SETTINGS.results}/logs/high_dimensions.log",
    benchmark:
        f"{SETTINGS.results}/benchmarks/high_dimensions.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=90,
    params:
        program=Path(workflow.basedir) / "benchmarks/high_dimensions.py",
    shell:
        "python {params.program:q} --table {output:q} > {log:q} 2>&1"
