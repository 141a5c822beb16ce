"""The web page: what the console can do, in a browser. `serve.WebPage` is the way in."""
