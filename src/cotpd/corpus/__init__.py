"""Stage 1: files to `Example`s, with every defect named and nothing dropped uncounted."""
