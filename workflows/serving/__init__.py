"""The inference server: what runs in the container. It needs no torch and no Ray, and imports neither."""
