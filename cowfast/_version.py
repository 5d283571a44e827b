# SPDX-License-Identifier: MIT
"""The version, here and nowhere else: packaging, provenance and the documentation read it."""

__version__ = "0.1.0"
