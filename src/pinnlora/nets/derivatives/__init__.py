"""Gradient and Laplacian of a network in many dimensions: exact, along random directions, or by Stein's identity.

May import: problem, errors.
"""
