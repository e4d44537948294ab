"""What is required, and what is excused with a written reason.

Input: policy files, those that come with smforge, and the patterns of ``--allow``. Output:
requirements and excuses, which preflight and the audit apply.
"""
