"""Plots of calibrations as SVG."""
