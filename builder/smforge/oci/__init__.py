"""What OCI defines: documents, layout folders, references, and the API of registries.

Input: references, layout folders, answers of registries. Output: descriptors, manifests and blobs,
verified; and what is pushed. Both ends of smforge use it: the audit reads images of any origin, and
publication sends those that passed.
"""
