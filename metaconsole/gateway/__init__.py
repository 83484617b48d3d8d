"""The gRPC end of the uplink: admits sessions, checks frames, stores them and acknowledges after COMMIT."""
