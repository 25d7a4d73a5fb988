rule base:
    input:
        tasks=made_by("tasks"),
    output:
        directory(f"{STUDY}/{{problem}}/base"),
    log:
        f"{STUDY}/logs/{{problem}}/base.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/base.tsv"
    conda:
        "../../environment.yml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=120,
    params:
        settings=settings_of("base"),
        code=code_of("base"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job fit --settings {params.settings:q} --tasks {input.tasks:q}"
        " --output {output:q} >> {log:q} 2>&1"


rule fit:
    input:
        tasks=made_by("tasks"),
        reference=made_by("reference"),
        base=made_by("base"),
    output:
        directory(f"{STUDY}/{{problem}}/fits/{{method}}/rank{{rank}}"),
    log:
        f"{STUDY}/logs/{{problem}}/fits/{{method}}/rank{{rank}}.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/fits/{{method}}/rank{{rank}}.tsv"
    conda:
        "../../environment.yml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=8000,
        runtime=720,
    params:
        settings=settings_of("fit"),
        code=code_of("fit"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job fit --settings {params.settings:q} --tasks {input.tasks:q}"
        " --reference {input.reference:q} --base {input.base:q} --output {output:q} >> {log:q} 2>&1"


rule teachers:
    input:
        tasks=made_by("tasks"),
        reference=made_by("reference"),
        base=made_by("base"),
    output:
        directory(f"{STUDY}/{{problem}}/teachers/rank{{rank}}"),
    log:
        f"{STUDY}/logs/{{problem}}/teachers/rank{{rank}}.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/teachers/rank{{rank}}.tsv"
    conda:
        "../../environment.yml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=8000,
        runtime=720,
    params:
        settings=settings_of("teachers"),
        code=code_of("teachers"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job fit --settings {params.settings:q} --tasks {input.tasks:q}"
        " --reference {input.reference:q} --base {input.base:q} --output {output:q} >> {log:q} 2>&1"
