"""Tests that need a browser; a package, so that browser and server are closed after its last test."""
