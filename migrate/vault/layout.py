"""Names in a vault, and the manifest's own form.

    objects/SHA256            parts and original files, named by their bytes, shared between backups
    ID/schema.json            typed schema
    ID/native.sql             the engine's own DDL text, for people (`migrate.vault.native`)
    ID/manifest-sha256.txt    for `sha256sum -c`, run inside ID/
    ID/manifest.json          written last: a folder without it is not a backup
    ID/signatures/SHA256.sig  over the manifest of that SHA-256, where a key is configured
    ID/verdicts/000000.json   append-only
    leases/KIND-TOKEN.json    who works with the vault just now (`migrate.vault.lease`)
    tombstones/TOKEN.json     objects that nobody needs any more, and that go after a grace (`migrate.vault.prune`)

Where a backup is encrypted for recipients, its objects are files of age, the schema is `schema.json.age`, and beside it
lies `hash-key.age` (`migrate.vault.sealing`). All SHA-256 are of the bytes as they are stored.

`manifest.json` holds the manifest and the SHA-256 of its canonical JSON, so that an edit shows by
itself; one who recomputes that is found by whoever remembers the file's SHA-256 (ledger, verdicts).
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from pathlib import PurePosixPath

from migrate import canon
from migrate.errors import Corrupt, UsageError
from migrate.model import FileRef, Manifest, PartRef, Schema
from migrate.vault import strict_json

FORMAT = 1
SEALED = 2  # the format of encrypted backups
MANIFEST_LIMIT = 64 << 20
SCHEMA_LIMIT = 64 << 20
VERDICT_LIMIT = 4 << 20
PART_LIMIT = 1 << 30  # a part is decoded in memory; the writer's own bound is far below

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,149}")
_OURS = ("objects", "erasures", "leases", "tombstones")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ERASURES = re.compile(r"[1-9][0-9]{0,9}:[0-9a-f]{64}")
_KEY = re.compile(r"[0-9a-f]{32}")
_MAX_PARTS = 1_000_000
_MAX_RECIPIENTS = 1_000


def is_id(id_: str) -> bool:
    return bool(_ID.fullmatch(id_)) and id_ not in _OURS


def checked_id(id_: str) -> str:
    """UsageError for what cannot be the name of a backup."""
    if not is_id(id_):
        raise UsageError(f"{id_[:100]!r} is no name for a backup.")
    return id_


def object_name(sha256: str) -> str:
    return f"objects/{sha256}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest_name(id_: str) -> str:
    return f"{id_}/manifest.json"


def schema_name(id_: str) -> str:
    return f"{id_}/schema.json"


def tag_files(manifest: Manifest) -> dict[str, str]:
    """Name → SHA-256 of what belongs to this backup alone, besides the manifest and what names it."""
    id_, seal, native = manifest.id, manifest.seal, manifest.native
    text = {native_name(manifest): native.sha256} if native and native.sha256 else {}
    if seal is None:
        return {schema_name(id_): manifest.schema_digest} | text
    return {sealed_schema_name(id_): manifest.schema_digest, hash_key_name(id_): seal.key_sha256} | text


def native_name(manifest: Manifest) -> str:
    return f"{manifest.id}/native.sql" + (".age" if manifest.seal else "")


def sealed_schema_name(id_: str) -> str:
    return f"{id_}/schema.json.age"


def hash_key_name(id_: str) -> str:
    return f"{id_}/hash-key.age"


def signature_name(id_: str, manifest_sha256: str) -> str:
    return f"{id_}/signatures/{manifest_sha256}.sig"


def checksums_name(id_: str) -> str:
    return f"{id_}/manifest-sha256.txt"


def verdict_name(id_: str, number: int) -> str:
    return f"{id_}/verdicts/{number:06d}.json"


def objects_of(manifest: Manifest) -> dict[str, int]:
    """SHA-256 → bytes of every object that the manifest names."""
    return {p.sha256: p.bytes for p in manifest.parts} | {f.sha256: f.bytes for f in manifest.files}


def checksums(manifest: Manifest) -> bytes:
    """The checksum file that belongs to the manifest, in the form of sha256sum."""
    lines = [f"{sha}  ../objects/{sha}\n" for sha in sorted(objects_of(manifest))]
    tags = [f"{sha}  {name.partition('/')[2]}\n" for name, sha in tag_files(manifest).items()]
    return "".join([*tags, *lines]).encode()


def dump_manifest(manifest: Manifest) -> bytes:
    content = strict_json.encode(manifest)
    return strict_json.readable(
        {"manifest": content, "sha256": hashlib.sha256(strict_json.canonical(content)).hexdigest()}
    )


def load_manifest(data: bytes, id_: str) -> Manifest:
    """The manifest in `data`, whole by its own hash and without contradictions. Raises Corrupt
    (damaged, edited, hostile) or UsageError (a newer program's)."""
    where = manifest_name(id_)
    document = strict_json.parse(data, where)
    if not isinstance(document, dict) or document.keys() != {"manifest", "sha256"}:
        raise Corrupt("it must hold manifest and sha256.", where=where)
    content = document["manifest"]
    if hashlib.sha256(strict_json.canonical(content)).hexdigest() != document["sha256"]:
        raise Corrupt("the manifest was changed after it was written: its own SHA-256 differs.", where=where)
    if isinstance(content, dict) and content.get("format", FORMAT) not in (FORMAT, SEALED):
        raise UsageError(
            f"the backup has format {str(content['format'])[:20]}, this program knows {FORMAT} and {SEALED}.",
            where=where,
        )
    manifest = strict_json.decode(Manifest, content, where)
    problems = contradictions(manifest)
    if manifest.id != id_:
        problems.insert(0, f"it says that it is backup {manifest.id[:100]!r}")
    if problems:
        raise Corrupt(f"the manifest contradicts itself: {problems[0]}.", where=where)
    return manifest


def contradictions(manifest: Manifest) -> list[str]:
    """What cannot be true of any backup, found without looking at anything else."""
    problems: list[str] = []
    if manifest.role not in ("source", "target", "archive", "replaced"):
        problems.append("its role is neither source nor target nor archive nor replaced")
    if not _SHA256.fullmatch(manifest.schema_digest):
        problems.append("the schema's digest is no SHA-256")
    if manifest.erasures and not _ERASURES.fullmatch(manifest.erasures):
        problems.append("what it says of erasures is no number and SHA-256")
    if len(manifest.parts) > _MAX_PARTS or len(manifest.files) > _MAX_PARTS:
        return [*problems, "it names too many parts"]
    sizes: dict[str, int] = {}
    refs: list[PartRef | FileRef] = [*manifest.parts, *manifest.files]
    for ref in refs:
        if not _SHA256.fullmatch(ref.sha256) or ref.path != object_name(ref.sha256):
            return [*problems, "a part's path is not its SHA-256"]
        if ref.bytes < 0 or sizes.setdefault(ref.sha256, ref.bytes) != ref.bytes:
            problems.append("one object has two sizes")
    own = {object_name(sha256) for sha256 in sizes} | tag_files(manifest).keys()
    if manifest.versions.keys() - own or any(not 0 < len(v) <= 1024 for v in manifest.versions.values()):
        problems.append("it names versions of objects that are not its own")
    for file in manifest.files:
        if not _is_plain_name(file.name):
            problems.append("a file's name leads elsewhere")
    if len({f.name for f in manifest.files}) != len(manifest.files):
        problems.append("two files have one name")
    return problems + _native(manifest) + _seal(manifest) + _sums(manifest)


def _native(manifest: Manifest) -> list[str]:
    native = manifest.native
    if native is None:
        return []
    if (
        len(native.tool) > 200
        or len(native.problem) > 1000
        or not (native.tool + native.problem).isprintable()
    ):
        return ["what it says of the DDL text cannot be"]
    kept = _SHA256.fullmatch(native.sha256) and 0 < native.bytes <= SCHEMA_LIMIT and not native.problem
    nothing = not native.sha256 and not native.bytes and native.problem
    return [] if kept or nothing else ["the DDL text has no SHA-256 or no size that can be"]


def _seal(manifest: Manifest) -> list[str]:
    seal = manifest.seal
    refs: list[PartRef | FileRef] = [*manifest.parts, *manifest.files]
    if (seal is not None) != (manifest.format == SEALED):
        return ["its format is not that of what it says of encryption"]
    if seal is None:
        return ["a part has a keyed hash, and nothing is encrypted"] if any(r.keyed for r in refs) else []
    problems = []
    if not 0 < len(seal.recipients) <= _MAX_RECIPIENTS or any(len(r) > 20_000 for r in seal.recipients):
        problems.append("its recipients cannot be")
    if not _SHA256.fullmatch(seal.key_sha256) or not _KEY.fullmatch(seal.key):
        problems.append("its hash key has no name")
    if not all(_SHA256.fullmatch(ref.keyed) for ref in refs):
        problems.append("an encrypted part has no keyed hash")
    return problems


def _sums(manifest: Manifest) -> list[str]:
    problems: list[str] = []
    total: defaultdict[str, canon.Digest] = defaultdict(lambda: canon.Digest(0, 0, 0, (), manifest.algorithm))
    count: defaultdict[str, int] = defaultdict(int)
    for part in manifest.parts:
        digest = canon.Digest.parse(part.digest)
        if not 0 <= part.bytes <= PART_LIMIT or part.rows < 0 or digest.rows != part.rows:
            problems.append("a part's rows or bytes cannot be")
        if part.index != count[part.table]:
            problems.append("the parts of a table are not numbered one after the other")
        count[part.table] += 1
        if digest.algorithm != manifest.algorithm:
            return [*problems, "digests of several algorithms are mixed"]
        total[part.table] = total[part.table] + digest
    if not total.keys() <= manifest.digests.keys():
        problems.append("a table with parts has no digest")
    for table, text in manifest.digests.items():
        if canon.Digest.parse(text).text() != total[table].text():
            problems.append("the digests of a table's parts do not add up to the table's")
    return problems


def _is_plain_name(name: str) -> bool:
    """A relative path that stays inside the folder it is restored into."""
    path = PurePosixPath(name)
    plain = bool(name) and len(name) <= 1000 and name.isprintable() and "\\" not in name
    return (
        plain and not path.is_absolute() and ".." not in path.parts and path.name != "" and str(path) == name
    )


def tables_fit(manifest: Manifest, schema: Schema) -> str:
    """Empty, or why manifest and schema cannot belong together."""
    missing = set(schema.table_names) ^ set(manifest.digests)
    return f"tables differ between manifest and schema: {', '.join(sorted(missing))[:200]}" if missing else ""
