"""The drawn world as a benchmark: its questions, baselines and report."""
