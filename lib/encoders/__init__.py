"""One adapter from a model file to the tensors that probes and attributions need."""
