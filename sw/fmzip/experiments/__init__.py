"""Experiments: functions from a frozen configuration to rows, and how they are shown."""
