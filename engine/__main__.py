"""`python -m engine`: the command line without the app, and what starts the hosts of runs."""

from __future__ import annotations

import sys

from engine.cli.main import main

sys.exit(main())
