"""What operators look at: logs, metrics, and whether everything works."""
