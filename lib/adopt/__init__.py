"""Encoders made from other people's weights."""
