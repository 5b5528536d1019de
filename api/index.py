"""The plain server on Vercel, which serves whatever `app` is: see docs/server.md."""

from threadkeep.asgi import app

__all__ = ["app"]
