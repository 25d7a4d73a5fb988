"""`python -m pinnlora`."""

from pinnlora.cli import main

main()
