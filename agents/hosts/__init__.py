"""Where agents run: Ray, or the process itself."""
