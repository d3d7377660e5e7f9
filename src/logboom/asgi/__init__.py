"""ASGI helpers that know no word of the domain: bodies, parameters, answers, routing, measuring."""
