"""What was looked at, and what was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Findings:
    """Counts checks, and keeps a sentence for each that failed."""

    checks: int = 0
    failures: list[str] = field(default_factory=list)

    def expect(self, right: bool, sentence: str) -> bool:
        """Count one check; what is wrong is said in a sentence. Returns whether it is right."""
        self.checks += 1
        if not right:
            self.failures.append(sentence)
        return right

    def summary(self) -> dict[str, int]:
        """The numbers: ``checks``, ``passed``, ``failed``."""
        failed = len(self.failures)
        return {"checks": self.checks, "passed": self.checks - failed, "failed": failed}
