"""The developers' REPL: a client of the door, in this process or over HTTP."""
