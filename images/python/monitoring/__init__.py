"""Watching a model in operation: the virtual clock, replayed traffic, the prediction log, late labels, drift and performance.

It is what the CronJobs and tools of the monitoring labs run. It is not for training (lab) or for deciding about a release (gates).
Importing the package imports nothing else.
"""
