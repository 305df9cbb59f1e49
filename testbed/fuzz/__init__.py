"""Fuzzing: everything that reads what it did not write, with bytes and values that nobody meant.

    Target --prepare--> Cases    a few random generators in; an exception is a failure
    run_target(target, seed, numbers) -> Report      in a process of its own, under Limits

A case hangs on the target's name, the seed and its number alone, so that each can be repeated.
"""
