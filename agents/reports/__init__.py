"""Reports: what happened, what it cost, what people did and what changed, from the ledger alone."""
