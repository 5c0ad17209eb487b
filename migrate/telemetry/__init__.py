"""What a run tells the outside while it goes on: OpenLineage events, OpenTelemetry traces and metrics.

Off unless configured, each by its own configuration. Nothing of it ever stops a run or is waited for longer than the
emitter's own time-outs: the first failure of an emitter is told once, and it is left out from there on.
"""
