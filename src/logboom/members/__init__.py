"""Members: the people of an account. They sign in with an e-mail address and a password; programs use keys."""
