"""Query-efficiency curves for duelgym agents."""
