"""The control plane's database, SQLite or PostgreSQL, of accounts, members and keys. Lines live in `store/`."""
