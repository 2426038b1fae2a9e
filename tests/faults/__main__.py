"""Try everything that can go wrong: ``python -m tests.faults --schedules 10000 --seed 1``."""

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from tests.faults import report
from tests.faults.faults import KINDS
from tests.faults.schedules import (
    DASHBOARD,
    PLAYED,
    RANDOM,
    Schedule,
    Sites,
    Verdict,
    at_random,
    expired_keys,
    explore,
    outages,
    perform,
    single_faults,
    single_kills,
    single_stalls,
)
from tests.faults.world_pool import Lost, world_pool


def main() -> int:
    """Play the schedules, say what was violated, and end with one JSON line."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.perf_counter()
    verdicts: list[Verdict] = []
    flows = [options.flow] if options.flow else list(PLAYED)
    with world_pool(options.worlds, options.database) as worlds:
        sites = dict(worlds.do_all(explore, flows, lambda flow, _: worlds.do(explore, flow)))
        schedules = list(plan(flows, sites, options))
        for verdict in worlds.do_all(perform, schedules, lost):
            verdicts.append(verdict)
            _tell(verdict, len(verdicts), len(schedules), verbose=options.verbose)
    summary = report.summary(verdicts, time.perf_counter() - began)
    if options.write:
        report.write(summary, verdicts, options)
    print(json.dumps(summary), flush=True)  # noqa: T201
    return 1 if summary["violations"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, help="how many to play")
    parser.add_argument("--seed", type=int, default=1, help="of everything left to chance")
    parser.add_argument("--flow", choices=sorted(PLAYED), help="only this flow's story")
    parser.add_argument(
        "--fault",
        choices=[*KINDS, "kill", "expired", "stall", "away", DASHBOARD],
        help="only this kind of trouble",
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--only", help="the one schedule of this name, such as random:17")
    parser.add_argument("--worlds", type=int, default=4, help="worlds side by side")
    parser.add_argument("--write", action="store_true", help="write the documentation's table")
    parser.add_argument("--verbose", action="store_true", help="say how every run ended")
    return parser.parse_args()


def plan(
    flows: Sequence[str], sites: dict[str, Sites], options: argparse.Namespace
) -> Iterator[Schedule]:
    """Every single fault and kill point first, and then at random as many as are left.

    If fewer are wanted than that, half of them are singles, chosen by the seed.
    """
    singles = [
        schedule
        for flow in flows
        for singles_of in (single_faults, single_kills, expired_keys, single_stalls, outages)
        for schedule in singles_of(flow, sites[flow])
        if _is_wanted(schedule, options.fault)
    ]
    if options.only:
        kind, _, rest = options.only.partition(":")
        if kind in (RANDOM, DASHBOARD):
            yield at_random(int(rest), flows, sites, others=kind == DASHBOARD)
        yield from (schedule for schedule in singles if schedule.name == options.only)
        return
    dice = random.Random(options.seed)  # noqa: S311 - repeatable on purpose
    if len(singles) > options.schedules:
        singles = dice.sample(singles, options.schedules // 2)
    yield from singles
    only = options.fault if options.fault in KINDS else ""
    first = options.seed * 1_000_000
    for number in range(options.schedules - len(singles)):
        others = options.fault == DASHBOARD or (not options.fault and number % 4 == 3)
        yield at_random(first + number, flows, sites, only, others=others)


def lost(schedule: Schedule, error: Lost) -> Verdict:
    """A schedule that cost its world is a violation like any other."""
    return Verdict(schedule, violations=[f"its world was lost: {error}"])


def _is_wanted(schedule: Schedule, fault: str | None) -> bool:
    return (
        fault is None
        or schedule.name.endswith(f":{fault}")
        or schedule.name.startswith(f"{fault}:")
    )


def _tell(verdict: Verdict, done: int, of: int, *, verbose: bool) -> None:
    schedule = verdict.schedule
    if verdict.violations or verbose:
        lines = [f"{schedule.name} ({schedule.flow})", f"  {schedule}"]
        lines += [f"  ended {ending[:300]}" for ending in verdict.endings]
        lines += [f"  VIOLATION {violation}" for violation in verdict.violations]
        print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201
    if done % 100 == 0 or done == of:
        print(f"{done:,} of {of:,} schedules", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
