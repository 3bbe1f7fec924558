"""Shapes drawn on the fly: the smallest complete example."""
