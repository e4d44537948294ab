"""Publishes what passed its audit.

Input: an image's layout and wheels that passed, and the report that says so. Output: the finished
layout, tags in the engine, a pushed image with its report, and a static index of wheels.
"""
