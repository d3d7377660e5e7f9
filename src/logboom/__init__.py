"""Logboom: a self-hosted log platform that speaks Mezmo's wire protocol, with API keys at its heart."""

__version__ = "0.1.0"
