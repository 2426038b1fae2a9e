"""Traces by OpenTelemetry: from what was heard, over the run that it started, to each call.

``switch`` (whether, and from when on), ``propagation`` (what belongs together), ``export`` (what
leaves, and nothing that names anybody). Only ``export`` imports OpenTelemetry's SDK, and nothing
imports ``export`` unless traces are switched on.
"""
