"""Go's golang.org/x/mod/sumdb accepts our notes, roots and proofs as they are, and refuses altered ones.

Sizes 1 to 300 and some random larger ones. Of the two signature lines Go knows the Ed25519 one.
"""

import base64
import copy
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from keys.log import merkle, note
from keys.log.merkle import Frontier
from keys.log.note import LogSigner

PROGRAM = Path(__file__).parent / "go"
GO = shutil.which("go")
LARGEST = 20_000

pytestmark = pytest.mark.skipif(GO is None, reason="go is not installed")


def go(*arguments, **options):
    flags = f"{os.environ.get('GOFLAGS', '')} -mod=readonly -buildvcs=false".strip()
    environment = os.environ | {"GOFLAGS": flags, "GOTOOLCHAIN": "local"}
    return subprocess.run(
        [GO, *arguments], cwd=PROGRAM, env=environment, capture_output=True, text=True, check=False, **options
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    fetched = go("mod", "download")
    if fetched.returncode and "SECURITY ERROR" not in fetched.stderr:
        pytest.skip("go cannot fetch golang.org/x/mod")
    assert fetched.returncode == 0, fetched.stderr
    binary = tmp_path_factory.mktemp("sumdb") / "sumdb"
    built = go("build", "-o", str(binary), ".")
    assert built.returncode == 0, built.stderr
    return binary


def some(numbers, count):
    return sorted({numbers[0], numbers[-1], *random.sample(numbers, min(count, len(numbers)))})


def texts(hashes):
    return [base64.b64encode(digest).decode() for digest in hashes]


@pytest.fixture(scope="module")
def written():
    signer = LogSigner.generate("test.invalid/log")
    entries = [b"\x01" + random.randbytes(40) for _ in range(LARGEST)]
    nodes, roots, frontier = {}, {}, Frontier()
    for entry in entries:
        frontier, complete = merkle.append_nodes(frontier, merkle.leaf_hash(entry))
        nodes.update({(level, n): digest for level, n, digest in complete})
        roots[frontier.size] = frontier.root()

    def read(wanted):
        return [nodes[node] for node in wanted]

    trees = []
    for size in [*range(1, 301), *random.sample(range(301, LARGEST), 8), LARGEST]:
        # Every proof of the small trees, some of the others.
        indexes = range(size) if size <= 70 else some(range(size), 12)
        olds = range(1, size + 1) if size <= 70 else some(range(1, size + 1), 12)
        trees.append(
            {
                "size": size,
                "note": note.sign_checkpoint(signer, size, roots[size], at=1_790_000_000 + size).decode(),
                "inclusion": [{"index": n, "path": texts(merkle.tree_inclusion(n, size, read))} for n in indexes],
                "consistency": [{"old": n, "proof": texts(merkle.tree_consistency(n, size, read))} for n in olds],
            }
        )
    return {
        "origin": signer.origin,
        "vkey": signer.keys.ed25519.encode(),
        "entries": [base64.b64encode(entry).decode() for entry in entries],
        "trees": trees,
    }


def check(program, tmp_path, content):
    path = tmp_path / "log.json"
    path.write_text(json.dumps(content))
    return subprocess.run([program, path], capture_output=True, text=True, check=False)


def test_go_accepts_notes_roots_and_proofs(program, written, tmp_path):
    result = check(program, tmp_path, written)
    assert (result.returncode, result.stderr) == (0, "")
    inclusions, consistencies = (
        sum(len(tree[kind]) for tree in written["trees"]) for kind in ("inclusion", "consistency")
    )
    expected = f"309 notes, {inclusions} inclusion proofs, {consistencies} consistency proofs\n"
    assert result.stdout == expected


def another(text):
    return ("B" if text[0] == "A" else "A") + text[1:]


def alter_root(tree):
    lines = tree["note"].split("\n")
    lines[2] = another(lines[2])
    tree["note"] = "\n".join(lines)


def alter_signature(tree):
    head, name, rest = tree["note"].partition("— test.invalid/log ")
    tree["note"] = head + name + rest[:20] + another(rest[20:])


def alter_inclusion(tree):
    tree["inclusion"][5]["path"][1] = another(tree["inclusion"][5]["path"][1])


def alter_consistency(tree):
    tree["consistency"][5]["proof"][1] = another(tree["consistency"][5]["proof"][1])


def alter_index(tree):
    tree["inclusion"][5]["index"] += 1


@pytest.mark.parametrize("alter", [alter_root, alter_signature, alter_inclusion, alter_consistency, alter_index])
def test_go_refuses_what_was_altered(program, written, tmp_path, alter):
    content = written | {"trees": [copy.deepcopy(written["trees"][49])]}
    assert check(program, tmp_path, content).returncode == 0
    alter(content["trees"][0])
    result = check(program, tmp_path, content)
    assert result.returncode == 1
    assert "size 50" in result.stderr
