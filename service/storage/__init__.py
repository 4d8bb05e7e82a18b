"""Where everything is kept: the database, and the store of finished folders."""
