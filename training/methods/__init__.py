"""One method a file; the folder is the list."""

from evaluation.registry import Registry

#: The names alone: the classes need torch, which a process that only queues runs does not load.
METHOD_NAMES = Registry[object](__name__, "method", object, classes=True)
