"""What the tests of the product and those of `packages` have in common."""

from hypothesis import settings

pytest_plugins = ["pytester", "tests.browser", "tests.prefect_worker", "tests.tiers"]

settings.register_profile("no test is judged by its time", deadline=None)
settings.load_profile("no test is judged by its time")
