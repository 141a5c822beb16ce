"""Doors: what carries out the agents' requests. A door takes a request, does the work, and answers with messages."""
