"""The study's problems, one file each; `pinnlora.problem.load` finds them by name."""
