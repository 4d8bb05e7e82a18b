"""From images in a request to what a model says of them."""
