"""What an encoder's representation of one image rests on, without labels, other images or a
head."""
