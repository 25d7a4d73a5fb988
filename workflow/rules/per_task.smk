use rule tasks as base with:
    input:
        unpack(inputs_of("base")),
    output:
        directory(f"{STUDY}/{{problem}}/base"),
    log:
        f"{STUDY}/logs/{{problem}}/base.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/base.tsv"
    threads: THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("base"),
        runtime=120,
    params:
        command=command_of("base"),


use rule base as fit with:
    input:
        unpack(inputs_of("fit")),
    output:
        directory(f"{STUDY}/{{problem}}/fits/{{method}}/rank{{rank}}"),
    log:
        f"{STUDY}/logs/{{problem}}/fits/{{method}}/rank{{rank}}.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/fits/{{method}}/rank{{rank}}.tsv"
    resources:
        gpu=GPUS,
        mem_mb=memory_of("fit"),
        runtime=720,
    params:
        command=command_of("fit"),


use rule fit as teachers with:
    input:
        unpack(inputs_of("teachers")),
    output:
        directory(f"{STUDY}/{{problem}}/teachers/rank{{rank}}"),
    log:
        f"{STUDY}/logs/{{problem}}/teachers/rank{{rank}}.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/teachers/rank{{rank}}.tsv"
    resources:
        gpu=GPUS,
        mem_mb=memory_of("teachers"),
        runtime=720,
    params:
        command=command_of("teachers"),
