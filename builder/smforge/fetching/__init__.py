"""Fetches files from package indexes and web servers, as pip does.

Input: the name of a release, or an address. Output: a file of the cache, with a known digest, or
what an index says of a distribution.
Everything goes through pip's own session, so the site's indexes, proxies, certificates and
credentials are used.
"""
