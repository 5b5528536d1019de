"""The plain server: the same API where there is no Cloudflare. The Worker neither imports nor ships it."""
