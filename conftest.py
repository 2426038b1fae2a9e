"""What the tests of the product and those of `packages` have in common."""

pytest_plugins = ["pytester", "tests.browser", "tests.prefect_worker", "tests.tiers"]
