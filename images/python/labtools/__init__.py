"""The tools of a lab's workbench: each command is a module (`python3 -m labtools.registry`), the others are what commands share.

Every command prints short text, or with `--json` exactly one JSON object; people's progress goes to stderr. The exit code is
0 when the work is done or a verdict is given, 1 when something failed (`{"error": ...}`), 2 when the command was called wrongly.
Every network call is bounded, and every command can be repeated: it finds what an earlier, perhaps interrupted, call left.

The package lies beside `lab`, not in it: `lab` holds what trains a model, and its tree is part of a run's lineage.
"""
