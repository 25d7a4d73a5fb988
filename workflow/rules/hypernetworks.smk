use rule fit as hypernetwork with:
    input:
        unpack(inputs_of("hypernetwork")),
    output:
        directory(f"{STUDY}/{{problem}}/surrogate/{{mode}}/rank{{rank}}{{again}}"),
    log:
        f"{STUDY}/logs/{{problem}}/surrogate/{{mode}}/rank{{rank}}{{again}}.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/surrogate/{{mode}}/rank{{rank}}{{again}}.tsv"
    resources:
        gpu=GPUS,
        mem_mb=memory_of("hypernetwork"),
        runtime=720,
    params:
        command=command_of("hypernetwork"),


use rule fit as evaluate with:
    input:
        unpack(inputs_of("evaluate")),
    output:
        f"{STUDY}/{{problem}}/evaluation.nc",
    log:
        f"{STUDY}/logs/{{problem}}/evaluation.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/evaluation.tsv"
    resources:
        gpu=GPUS,
        mem_mb=memory_of("evaluate"),
        runtime=120,
    params:
        command=command_of("evaluate"),
