"""One file a workflow stage: each has `run`, which reads files, calls the package and writes files."""
