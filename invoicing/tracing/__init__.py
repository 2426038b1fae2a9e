"""Traces by OpenTelemetry: from what was heard, over the run that it started, to each call.

``switch`` (whether, and from when on), ``propagation`` (what belongs together), ``redaction`` (what
may leave, and nothing that names anybody), ``export`` (sends that). Only these last two import
OpenTelemetry's SDK, and nothing imports them unless traces are switched on.
"""
