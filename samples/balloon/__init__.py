"""Balloons annotated with VIA, and everything but them in grey."""
