"""What runs on this machine: what is installed, workerd, the plain server, Postgres."""
