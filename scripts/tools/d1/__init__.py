"""A D1 database: migrated, backed up and restored."""
