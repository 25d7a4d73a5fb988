"""Tables and figures from evaluation files, beside the paper's numbers; trains nothing.

May import: study (its names), train (its modes), files, errors.
"""
