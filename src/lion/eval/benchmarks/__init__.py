"""The benchmarks of the paper, as a table, on the datasets' original files."""
