"""What a trained surrogate is asked: fields anywhere, how far to trust them, better ones, which task it was, a module.

May import: train, optimise, loss, nets, problem, files, errors.
"""
