"""How fast trainings and probes are on this machine: ``python -m lib.bench``."""
