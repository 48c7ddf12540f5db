"""Accuracy of a checkpoint."""

import argparse
import pickle

from train import load, validate

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ckpt", default="checkpoints/last.pkl")
    args = parser.parse_args()
    with open(args.ckpt, "rb") as f:
        _, weights = pickle.load(f)
    print(f"accuracy: {validate(weights, load('data/points.csv'), 2)}")
