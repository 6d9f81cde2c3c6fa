"""Display: progress, reports and safe text."""
