"""Who decides: tracker, checker, improver and planner, the desk for people, the ledger, and the hosts they run on."""
