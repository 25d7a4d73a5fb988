"""One algorithm a file, and the linear algebra they share.

May import: loss, nets, problem, errors.
"""
