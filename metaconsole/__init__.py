"""The centre: takes what satellites send, keeps it in PostgreSQL and shows it to the NOC."""
