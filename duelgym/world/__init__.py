"""The embedded world: topics with facts, instructions about them, demonstrations of all qualities, and a rubric that reads answers."""
