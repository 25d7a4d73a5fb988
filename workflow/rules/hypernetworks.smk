rule hypernetwork:
    input:
        tasks=made_by("tasks"),
        reference=made_by("reference"),
        base=made_by("base"),
        teachers=teachers_of,
    output:
        directory(f"{STUDY}/{{problem}}/surrogate/{{mode}}/rank{{rank}}"),
    log:
        f"{STUDY}/logs/{{problem}}/surrogate/{{mode}}/rank{{rank}}.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/surrogate/{{mode}}/rank{{rank}}.tsv"
    conda:
        "../../environment.yml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=8000,
        runtime=720,
    params:
        settings=settings_of("hypernetwork"),
        code=code_of("hypernetwork"),
        teachers=repeated("--teachers", "teachers"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job hypernetwork --settings {params.settings:q} --tasks {input.tasks:q}"
        " --reference {input.reference:q} --base {input.base:q} {params.teachers}"
        " --output {output:q} >> {log:q} 2>&1"


rule evaluate:
    input:
        tasks=made_by("tasks"),
        reference=made_by("reference"),
        base=made_by("base"),
        fits=fits_of,
        surrogates=surrogates_of,
    output:
        f"{STUDY}/{{problem}}/evaluation.nc",
    log:
        f"{STUDY}/logs/{{problem}}/evaluation.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/evaluation.tsv"
    conda:
        "../../environment.yml"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=8000,
        runtime=120,
    params:
        settings=settings_of("evaluate"),
        code=code_of("evaluate"),
        fits=repeated("--fit", "fits"),
        surrogates=repeated("--surrogate", "surrogates"),
    shell:
        "echo provenance {params.code} > {log:q}; "
        "python -m pinnlora job evaluate --settings {params.settings:q} --tasks {input.tasks:q}"
        " --reference {input.reference:q} --base {input.base:q} {params.fits} {params.surrogates}"
        " --output {output:q} >> {log:q} 2>&1"
