"""The `logboom` command: `serve` starts a server, everything else speaks to one over HTTP."""
