rule tasks:
    output:
        f"{STUDY}/{{problem}}/tasks.nc",
    log:
        f"{STUDY}/logs/{{problem}}/tasks.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/tasks.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=settings_of("tasks"),
        code=code_of("tasks"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job tasks --settings {params.settings:q}"
        " --output {output:q} >> {log:q} 2>&1"


rule reference:
    input:
        tasks=made_by("tasks"),
    output:
        f"{STUDY}/{{problem}}/reference.nc",
    log:
        f"{STUDY}/logs/{{problem}}/reference.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/reference.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings_of("reference"),
        code=code_of("reference"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job reference --settings {params.settings:q} --tasks {input.tasks:q}"
        " --output {output:q} >> {log:q} 2>&1"
