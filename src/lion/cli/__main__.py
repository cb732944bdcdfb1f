"""``python -m lion.cli``: the command without its script."""

import sys

from lion.cli import main

sys.exit(main())
