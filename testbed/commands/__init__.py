"""The subcommands of `testbed`."""
