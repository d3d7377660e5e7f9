"""Bodies become lines: one SQL file per stage, and what assembles them."""
