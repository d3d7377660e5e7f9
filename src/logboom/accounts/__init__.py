"""Accounts: everything that is kept belongs to one, and sees nothing of another."""
