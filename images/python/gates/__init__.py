"""Gates: judging whether a model may be released, a canary by its metrics, a challenger by its labels.

A gate reads a policy that the learner writes and gives a verdict with its reasons; it never moves anything by itself.
Importing the package imports nothing else.
"""
