"""The audit log: who changed, saw or was refused what, through which door, and proof that nobody has altered it since.

One stream per installation, append-only and chained: every row is signed together with the row before it (`chain.py`).
"""
