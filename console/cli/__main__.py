"""`python -m console.cli`: the same as the `headway` script, for a process that starts another one."""

from console.cli import main

main()
