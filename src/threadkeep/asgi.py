"""The plain server as an ASGI application, to be run or mounted anywhere: `threadkeep.asgi:app`."""

import os

from threadkeep.server.application import Application

app = Application(os.environ.get)
