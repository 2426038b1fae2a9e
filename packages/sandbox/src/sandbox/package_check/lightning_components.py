"""Lightning web components: what they import is there, and flows give them what they take.

Like flows, they are held to what the sandbox can run. Whether they compile and do what their own
tests say is for Salesforce's tools to tell.

Sources: https://developer.salesforce.com/docs/platform/lwc/guide/reference-configuration-tags.html,
https://developer.salesforce.com/docs/platform/lwc/guide/apex-schema.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.package_check.findings import Findings
from sandbox.package_check.org import Org
from sandbox.package_check.source import Component, Element, Package
from sandbox.salesforce.lightning_components.bundle import PLATFORM

KIND = "LightningComponentBundle"
FLOW_SCREEN = "lightning__FlowScreen"
SCHEMA = "@salesforce/schema/"
NAMESPACE = "c:"
"""How flows name components of the org that they run in."""

IMPORT = re.compile(r"""^import\s+([^'"]+?)\s+from\s+['"]([^'"]+)['"]""", re.MULTILINE)
PUBLIC = re.compile(r"@api\s+(?:get\s+|set\s+)?(\w+)")
BASE = re.compile(r"<(lightning-[\w-]+)")


def properties_of(component: Component) -> dict[str, Element]:
    """What a component takes on a screen of a flow, by name."""
    return {
        prop.get("name", ""): prop
        for config in component.root.iterfind("targetConfigs/targetConfig")
        if FLOW_SCREEN in config.get("targets", "").split(",")
        for prop in config.iterfind("property")
    }


def component_of(package: Package, shown: Element) -> Component | None:
    """The component of the package that a screen shows, if it shows one."""
    name = shown.findtext("extensionName") or ""
    return package.get(KIND, name.removeprefix(NAMESPACE)) if name.startswith(NAMESPACE) else None


def check_components(package: Package, org: Org, findings: Findings) -> None:
    """Check every Lightning web component that a package directory brings."""
    for component in package.own():
        if component.kind == KIND:
            for wrong in _mistakes(component, org):
                findings.expect(not wrong, f"{component.path}: {wrong}")


def _mistakes(component: Component, org: Org) -> Iterator[str]:
    sources = {
        suffix: path.read_text(encoding="utf-8") if path.is_file() else ""
        for suffix in (".js", ".html")
        for path in [component.file.with_name(component.name + suffix)]
    }
    for suffix, text in sources.items():
        yield "" if text else f"there is no {component.name}{suffix}."
    yield from _of_targets(component, set(PUBLIC.findall(sources[".js"])))
    for what, module in IMPORT.findall(sources[".js"]):
        yield _import_mistake(what, module, org)
    for name in BASE.findall(sources[".html"]):
        yield f"{name} cannot be run in the sandbox."


def _of_targets(component: Component, public: set[str]) -> Iterator[str]:
    targets = component.texts("targets/target")
    for name in targets:
        yield "" if name == FLOW_SCREEN else f"the target {name} is not known here."
    exposed = component.text("isExposed") == "true"
    yield "" if exposed or not targets else "it has targets, and is not exposed."
    for config in component.root.iterfind("targetConfigs/targetConfig"):
        for name in config.get("targets", "").split(","):
            yield "" if name in targets else f"{name} is configured, and is no target."
    for name, prop in properties_of(component).items():
        yield "" if name in public else f"the property {name} is not public in its class (@api)."
        known = prop.get("type") in {"String", "Boolean", "Integer"}
        yield "" if known else f"properties of type {prop.get('type')} are not known here."
        given = prop.get("role") == "inputOnly"
        yield "" if given else f"{name} can be given back, which cannot be run in the sandbox."


def _import_mistake(what: str, module: str, org: Org) -> str:
    if module.startswith(SCHEMA):
        sobject, _, path = module.removeprefix(SCHEMA).partition(".")
        there = org.field(sobject, path) if path else org.sobject(sobject)
        return "" if there else f"it imports {sobject}.{path}, which is not there."
    if module not in PLATFORM:
        return f"the module {module} cannot be run in the sandbox."
    names = {name.strip().partition(" as ")[0] for name in what.strip("{} \n").split(",")}
    strange = sorted(names - PLATFORM[module] - {""})
    return f"{module} has no {', '.join(strange)} in the sandbox." if strange else ""
