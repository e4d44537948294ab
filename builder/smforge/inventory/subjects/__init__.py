"""What can be audited. Input: the argument of the command line. Output: the members to read."""
