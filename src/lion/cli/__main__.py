"""``python -m lion.cli``: the command without its script."""

import sys

from lion.cli.app import main

sys.exit(main())
