"""Protocols that measure: seeded, resumable, on any folder of images and labels."""
