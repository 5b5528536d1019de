"""The files of the migrations: read, hashed, and embedded in the source."""
