"""Schedules on the days on which clocks are moved, as Prefect itself works them out."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule

from deployments.local.stack import ROOT

pytestmark = pytest.mark.fast

BEGIN, END = datetime(2027, 1, 1, 12, tzinfo=UTC), datetime(2028, 1, 1, 12, tzinfo=UTC)
A_DAY = timedelta(days=1)
LEAPS_TWO_HOURS = "Antarctica/Troll"
"""Where neither the first nor the second hour of a day in March exists; nobody does business."""

DAILY = {
    entry["name"]: schedule["cron"]
    for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    for schedule in entry.get("schedules", [])
    if "business" in schedule["timezone"] and "*" not in schedule["cron"].split()[1]
}
"""Deployments that run once a day of the business's, with when."""


def moved_clocks() -> Iterator[tuple[str, date]]:
    """A zone of each kind, and the days on which its clocks are moved."""
    known = set()
    for name in sorted(available_timezones() - {LEAPS_TWO_HOURS}):
        days = tuple(days_of(ZoneInfo(name)))
        if days not in known:
            known.add(days)
            yield from ((name, moment.date()) for moment in days)


def days_of(zone: ZoneInfo) -> Iterator[datetime]:
    """Noon of each day that is no 24 hours long, in Greenwich's time and in the zone's."""
    noon = BEGIN
    while noon < END:
        before, noon = noon, noon + A_DAY
        if before.astimezone(zone).utcoffset() != noon.astimezone(zone).utcoffset():
            yield noon.astimezone(zone)


def begins(cron: str, zone: str, day: date) -> list[datetime]:
    """When Prefect starts a run on a day, the one before and the two after, in the zone's time."""
    local = ZoneInfo(zone)
    first = datetime(day.year, day.month, day.day, tzinfo=local) - A_DAY
    schedule = CronSchedule(cron=cron, timezone=zone)
    found = asyncio.run(schedule.get_dates(9, start=first - A_DAY, end=first + 5 * A_DAY))
    moments = [moment.astimezone(UTC).astimezone(local) for moment in found]
    return [moment for moment in moments if first.date() <= moment.date() <= day + 2 * A_DAY]


@pytest.mark.parametrize("name", DAILY)
def test_each_day_has_one_run_wherever_the_business_is(name: str) -> None:
    """In Cairo no day of April begins at midnight; elsewhere an hour is missing, or comes twice."""
    kinds = list(moved_clocks())
    assert "Africa/Cairo" in {zone for zone, _ in kinds}
    for zone, day in kinds:
        days = [moment.date() for moment in begins(DAILY[name], zone, day)]
        assert days == [day + n * A_DAY for n in (-1, 0, 1, 2)], (zone, day)
