"""Damaged and hostile files: refused in one line, or read rightly; nothing hangs or crashes.

What is read is compared: pixels with those that rasterio reads, and what has a checksum (models,
training states, parts) or lies in other files (shapes beside a damaged index) with what it was.
"""
