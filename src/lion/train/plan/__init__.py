"""What a run takes on a named card, worked out before there are weights, data or a GPU (`lion train --dry-run --on`)."""
