"""What tests of the state of agents have in common: each kind as tests make it, through the service."""
