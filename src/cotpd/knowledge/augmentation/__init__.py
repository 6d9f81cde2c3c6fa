"""Training posts to new training posts: another voice, another entity, another picture."""
