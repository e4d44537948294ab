"""The HTML page: one file that shows a matrix of rows by devices and opens its cells.

`matrix` is what a page shows, `audit_page` (and `smforge.report.preflight.page`) make it, `page`
writes it to a file.
"""
