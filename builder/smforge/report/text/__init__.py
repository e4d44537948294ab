"""Text as such: foreign names made harmless, words, columns, Markdown and JSON.

Nothing here knows what a report says.
"""
