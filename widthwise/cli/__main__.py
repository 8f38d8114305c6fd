"""`python -m widthwise.cli`: the `widthwise` command if its script is not on the PATH."""

from widthwise.cli.app import main

main()
