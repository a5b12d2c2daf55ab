"""Writes manifest.json beside this file: every text of texts/, its split, register, size and hash."""

import hashlib
import json
import pathlib

here = pathlib.Path(__file__).parent
entries = []
for split in ("calibration", "evaluation", "long"):
    for path in sorted((here / "texts" / split).glob("*.txt")):
        data = path.read_bytes()
        entries.append(
            {
                "split": split,
                "name": f"{split}-{path.stem}",
                "register": path.stem.split("-", 1)[1],
                "file": path.relative_to(here).as_posix(),
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
                "licence": "MIT OR Apache-2.0",
            }
        )
(here / "manifest.json").write_text(json.dumps(entries, indent=1) + "\n")
