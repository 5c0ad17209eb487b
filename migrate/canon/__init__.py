"""canon-1: canonical form of typed values, row hashes and table digests (docs/canon-1.md)."""

from migrate.canon.back import from_text
from migrate.canon.equal import different
from migrate.canon.forms import Tag, canonical_bytes, column_hashes
from migrate.canon.rows import ALGORITHM, Digest, RowHashes, as_binary, digest, row_hashes
from migrate.canon.text import canonical_text, source_keys, uuid5_array

__all__ = [
    "ALGORITHM",
    "Digest",
    "RowHashes",
    "Tag",
    "as_binary",
    "canonical_bytes",
    "canonical_text",
    "column_hashes",
    "different",
    "digest",
    "from_text",
    "row_hashes",
    "source_keys",
    "uuid5_array",
]
