"""A graph as a picture: Mermaid text, SVG, or lines for a terminal. All three show each node and each edge."""
