"""Reference agents for duelgym: a reward model, an exploration rule, and settings."""
