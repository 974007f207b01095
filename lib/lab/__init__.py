"""The lab: three modules of exercises, their checks, and the editions made from one source."""
