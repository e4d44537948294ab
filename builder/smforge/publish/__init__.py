"""Publishes what passed its audit.

Enters: an image's layout and wheels that passed, and the report that says so. Leaves: the finished
layout, tags in the engine, a pushed image with its report, and a static index of wheels.
"""
