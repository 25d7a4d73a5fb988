"""The study around the numerics: settings, jobs, what made which file, evaluation.

May import: surrogate, train and all before it.
"""
