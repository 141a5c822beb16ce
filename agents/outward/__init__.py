"""What other systems get without asking: events, webhooks and metrics. A dead receiver never slows the agents."""
