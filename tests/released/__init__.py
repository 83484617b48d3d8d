"""What was released stays usable: wire, database and spool of every version that has a folder here."""
