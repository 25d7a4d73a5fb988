"""The loop that trains everything, single tasks and hypernetworks, and what it needs to be set up.

May import: optimise, loss, nets, problem, files, errors.
"""
