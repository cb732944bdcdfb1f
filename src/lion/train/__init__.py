"""Training: recipes, stages, and one loop for all of them. `lion.train.run.train` is the table of contents."""
