"""The command line: one module per family of commands, loaded only when it is typed."""
