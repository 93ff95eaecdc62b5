"""Tests of the package against the ``greenroom`` command."""
