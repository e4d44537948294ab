"""What can be audited. Enters: the argument of the command line. Leaves: the members to read."""
