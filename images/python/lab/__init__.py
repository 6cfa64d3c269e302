"""What the labs run in Python: the flights data, the reference model, and the seeds made of them.

It is not a framework: each module is a small program or what two programs share. Importing the package imports nothing else.
"""
