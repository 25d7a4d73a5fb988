"""The jobs that make tables and figures.

May import: report, files, errors.
"""
