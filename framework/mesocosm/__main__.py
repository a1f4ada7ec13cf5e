"""`python -m mesocosm`: the same program as `mesocosm`."""

from mesocosm.cli import main

main()
