"""Parts of the shape of versions.json: the words in it, and the sources of other projects."""
