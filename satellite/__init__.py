"""The process at a site: collects from sources, spools, and streams to the metaconsole."""
