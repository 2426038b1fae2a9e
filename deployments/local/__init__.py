"""The whole system on one machine, as real processes: for the demo, the tests, the benchmarks."""
