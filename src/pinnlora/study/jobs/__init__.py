"""One file a stage of the workflow: each has `run`, which reads files, calls the package and writes files.

May import: whatever study may.
"""
