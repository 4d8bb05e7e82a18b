"""Model versions: which there are, what they are called, who decided so."""
