"""Fine-tuning on a user's own pictures: what is in them, what is held out, and the recipe that follows from it.

`survey` looks at records and splits them by picture; `plan` writes them down and chooses the settings.
"""
