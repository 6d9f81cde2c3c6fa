"""What the readers of several formats share: fields, offsets, spans, tags."""
