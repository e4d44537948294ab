"""What is required, and what is excused with a written reason.

Enters: policy files, those that come with smforge, and the patterns of ``--allow``. Leaves:
requirements and excuses, which preflight and the audit apply.
"""
