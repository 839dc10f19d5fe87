"""`python -m mohhos` is `mohhos`."""

from mohhos.cli import main

main()
