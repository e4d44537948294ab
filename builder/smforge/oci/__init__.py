"""What OCI defines: documents, layout folders, references, and the API of registries.

Enters: references, layout folders, answers of registries. Leaves: descriptors, manifests and blobs,
verified; and what is pushed. Both ends of smforge use it: the audit reads images of any origin, and
publication sends those that passed.
"""
