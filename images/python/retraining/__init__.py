"""Retraining: the training Job that may run twice, the trigger that turns an alert into one, and the way back.

It is not for the gate between them (gates) or for finding out that a model got worse (monitoring).
Importing the package imports nothing else.
"""
