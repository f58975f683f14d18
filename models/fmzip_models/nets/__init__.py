"""Architectures with the parameter names of torchvision; ``fmzip_models.zoo`` lists them.

Every activation is a module of its own, so that a hook on it, or its node in a trace, stands for
exactly one tensor. They have no parameters, so the names in weights files do not change.
"""
