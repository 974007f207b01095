"""Self-supervised objectives and the one loop that trains them."""
