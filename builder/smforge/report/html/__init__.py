"""The HTML page: one file with a matrix of rows by devices, whose cells can be opened.

`matrix` is what a page shows, `audit_page` (and `smforge.report.preflight.page`) make it, `page`
writes it to a file.
"""
