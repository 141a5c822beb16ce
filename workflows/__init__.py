"""How work runs: the inference deployment and its runners. Imports models and scenarios only."""
