"""Steps: plain programs that run and end, each a function of plain arguments that leaves its result in a folder."""
