"""Networks, their weights and pictures, and the feature maps they store."""
