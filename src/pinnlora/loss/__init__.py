"""What is small when solved: points, residual rows, and the terms of each mode.

May import: nets, problem, errors.
"""
