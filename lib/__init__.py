"""Attribution and probe functions for self-supervised encoders, and the study that applies them."""
