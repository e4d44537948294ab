"""A report as rows, for a spreadsheet, a database or jq."""
