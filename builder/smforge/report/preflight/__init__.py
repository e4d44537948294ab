"""Renders what a preflight found: for people, for other tools, and as data.

`outline` has the words and rows that the forms share; `page` makes the HTML page.
"""
