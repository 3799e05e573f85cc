"""``python -m interp.run EXPERIMENT ...`` is the same as ``interp run EXPERIMENT ...``."""

import sys

from interp.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
