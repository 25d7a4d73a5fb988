"""Domains: shapes in the plane and in space, their union, difference and intersection, and the sides of these.

May import: errors.
"""
