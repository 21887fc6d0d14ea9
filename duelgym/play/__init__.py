"""A person in the agent's place: asks a hidden rater about pairs, then says which responses it will like best."""
