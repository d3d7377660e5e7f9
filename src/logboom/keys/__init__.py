"""Keys: how programs say who they are. An ingestion key sends lines; a service key reads and configures.

A value is looked up in memory by its keyed digest (`keyring.py`) and kept in the database twice: as that digest, and
sealed so that its owner can read it again (`vault.py`). Neither is of use without the master secret.
"""
