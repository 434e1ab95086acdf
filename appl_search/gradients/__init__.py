"""Losses and gradients of a model with LoRAs at any rates."""
