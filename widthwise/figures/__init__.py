"""Plots of calibrations and sweeps as SVG."""
