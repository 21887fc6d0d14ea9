"""Gymnasium environments in which each action asks for one preference label."""
