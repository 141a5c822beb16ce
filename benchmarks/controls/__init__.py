"""Controls: what a reported figure is compared with. One control, one file; none of them is part of the product."""
