"""What took long to compute, kept on disk under all that it depends on."""

from lib.kept.files import kept
