"""The study around the numerics: settings, jobs, what made which file, evaluation.

May import: query, train and all before it.
"""
