"""The drawn world as a benchmark: its frozen questions, baselines, scores and report."""
