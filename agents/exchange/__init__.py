"""Questions in files, for people without access to console or page. `python -m agents.exchange` is the way in."""
