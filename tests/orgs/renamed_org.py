"""An org that has everything our package brings, each thing under another name."""

import json
import re
from pathlib import Path

PREFIX = "Own_"
WORD = "own "
NAMES = re.compile(r"\b(\w+__[cr])\b")
CHILDREN = re.compile(r"(<relationshipName>)")
VALUES = re.compile(r"(<value>\s*<fullName>|ISPICKVAL\([^,]+, &quot;)(?!&quot;)")
STANDARD = frozenset(["Account"])


def rename(package: Path, org: Path) -> str:
    """Write the metadata of such an org; returns the field mapping, as TOML."""
    lines: list[str] = []
    for folder in sorted((package / "objects").iterdir()):
        if folder.name.endswith("__mdt"):  # of dialogues, which this org has none of
            continue
        own = folder.name if folder.name in STANDARD else PREFIX + folder.name
        for path in folder.rglob("*.xml"):
            name = path.name.replace(folder.name, own) if path.parent == folder else path.name
            target = org / "objects" / own / path.relative_to(folder).parent / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_renamed(path.read_text(encoding="utf-8")), encoding="utf-8")
        lines += _mapped(folder, own)
    (org / "permissionsets").mkdir()
    for path in sorted((package / "permissionsets").iterdir()):
        granted = _renamed(path.read_text(encoding="utf-8"))
        (org / "permissionsets" / path.name).write_text(granted, encoding="utf-8")
    return "\n".join(lines)


def _renamed(text: str) -> str:
    text = NAMES.sub(rf"{PREFIX}\g<1>", text)
    return VALUES.sub(rf"\g<1>{WORD}", CHILDREN.sub(rf"\g<1>{PREFIX}", text))


def _mapped(folder: Path, own: str) -> list[str]:
    where = f"objects.{folder.name}"
    fields = {path.name.partition(".")[0]: path for path in sorted(folder.glob("fields/*"))}
    lines = [f"[{where}]", f'name = "{own}"', f"[{where}.fields]"]
    lines += [f'{name} = "{PREFIX}{name}"' for name in fields]
    if folder.name == "Stripe_Invoice__c":
        lines += [f"[{where}.children]", f'Lines__r = "{PREFIX}Lines__r"']
    for name, path in fields.items():
        values = re.findall(r"<value>\s*<fullName>([^<]+)", path.read_text(encoding="utf-8"))
        if values:
            lines.append(f"[{where}.values.{name}]")
            lines += [f"{json.dumps(value)} = {json.dumps(WORD + value)}" for value in values]
    return lines
