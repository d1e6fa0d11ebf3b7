"""Simulates execution models."""
