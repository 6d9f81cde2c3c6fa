"""Images to captions, by a captioner: BLIP-2, or any vision model."""
