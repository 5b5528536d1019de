"""What several tests need: back ends by name, the API without a network, and short ways to make records."""
