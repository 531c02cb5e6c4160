"""Adversarial examples.  So far: the one attack with which networks are trained to be robust and tested for it."""
