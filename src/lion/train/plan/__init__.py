"""What a run takes on a named card, without weights, data or a GPU (`lion train --dry-run --on`)."""
