"""How requests and answers look, whatever they are about."""
