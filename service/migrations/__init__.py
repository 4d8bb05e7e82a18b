"""Steps that bring the database's schema from one version to the next, and back."""
