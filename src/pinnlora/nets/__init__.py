"""Functions of weights: jets, the tanh MLP, its adapters, the hypernetwork, the ansatz.

May import: problem, errors.
"""
