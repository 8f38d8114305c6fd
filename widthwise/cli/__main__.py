"""`python -m widthwise.cli`: the `widthwise` command, where its script is not on the path."""

from widthwise.cli.app import main

main()
