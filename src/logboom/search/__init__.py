"""Lines are found: what is asked for, and where a page of the answer continues."""
