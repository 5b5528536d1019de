"""The routes, by whom they answer."""

from threadkeep.http.routes import ROUTES

PUBLIC_ROUTES = [route for route in ROUTES if route.is_public]
"""Those that answer anybody."""
USER_ROUTES = [route for route in ROUTES if not route.is_public]
"""Those that answer a user."""
