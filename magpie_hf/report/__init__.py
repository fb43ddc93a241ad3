"""The report: one HTML file for judging a build whose rows nobody can read in full. Not here: the card, which is published."""
