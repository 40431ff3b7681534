"""The command line `modelops`: one thin file per command.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed,
2 wrong usage. `modelops --help` imports neither JAX nor NumPy.
"""

from ._app import main as main
