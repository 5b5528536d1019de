"""Blobs, each some bytes under a key, which never change: attachments, images, files of an agent."""
