"""Images with ground truth, from files that the repository carries or from the user's folder."""
