# ruff: noqa
raise ImportError("the front ends must not be imported")
