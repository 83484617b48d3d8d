"""The Flask application: the API under /api/v1 and the dashboard of the NOC."""
