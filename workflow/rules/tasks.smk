rule tasks:
    input:
        unpack(inputs_of("tasks")),
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
        mem_mb=memory_of("tasks"),
        runtime=10,
    params:
        command=command_of("tasks"),
    shell:
        "python -m pinnlora job {params.command} --output {output:q} > {log:q} 2>&1"


use rule tasks as reference with:
    input:
        unpack(inputs_of("reference")),
    output:
        f"{STUDY}/{{problem}}/reference.nc",
    log:
        f"{STUDY}/logs/{{problem}}/reference.log",
    benchmark:
        f"{STUDY}/benchmarks/{{problem}}/reference.tsv"
    threads: lambda wildcards: 1 + gpus_of_reference(wildcards)
    resources:
        gpu=gpus_of_reference,
        mem_mb=memory_of("reference"),
        runtime=240,
    params:
        command=command_of("reference"),
