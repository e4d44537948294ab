"""What a build is made from: other projects' sources, root file systems, the checkout."""
