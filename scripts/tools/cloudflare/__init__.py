"""The account at Cloudflare, wrangler and its configuration, and deploying."""
