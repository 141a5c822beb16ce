"""Where a program runs: a process or a container."""
