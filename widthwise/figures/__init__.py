"""Pictures of calibrations as SVG."""
