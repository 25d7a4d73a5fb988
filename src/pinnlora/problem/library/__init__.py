"""The problems that the package brings, one a file; each names its class PROBLEM.

May import: problem, errors.
"""
