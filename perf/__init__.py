"""What measures LION; run from the repository's root as ``python -m perf.NAME``."""
