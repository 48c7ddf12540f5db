"""Noise on pictures."""

import random


def augmented(pixels, noise, flip_prob=0.1):
    if random.random() < flip_prob:
        pixels = list(reversed(pixels))
    return [pixel + random.gauss(0, noise) for pixel in pixels]
