"""Logistic regression on two rings of points, with a checkpoint after each epoch."""

import argparse
import math
import os
import pickle
import random


def get_args():
    parser = argparse.ArgumentParser(description="train a classifier")
    parser.add_argument("--data-dir", default="data", help="where points.csv is")
    parser.add_argument("--out-dir", type=str, default="checkpoints")
    parser.add_argument("-b", "--batch-size", type=int, default=16)
    parser.add_argument("--lr", "--learning-rate", dest="lr", type=float, default=0.1)
    parser.add_argument("--wd", type=float, default=1e-4, help="weight decay")
    parser.add_argument("--momentum", default=0.9, type=float)
    parser.add_argument("--optimizer", choices=["sgd", "sign"], default="sgd")
    parser.add_argument("--degree", type=int, default=2)
    parser.add_argument("--nesterov", action="store_true")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--print-freq", type=int, default=10)
    parser.add_argument("--workers", default=4, type=int)
    parser.add_argument("--resume", default="", type=str, help="path to a checkpoint")
    parser.add_argument("--evaluate", action="store_true")
    parser.add_argument("--seed", default=None, type=int)
    return parser.parse_args()


def load(path):
    with open(path) as f:
        rows = [line.split(",") for line in f.read().split()]
    return [((float(x), float(y)), int(label)) for x, y, label in rows]


def features(point, degree):
    x, y = point
    return [1.0, *(x**k for k in range(1, degree + 1)), *(y**k for k in range(1, degree + 1))]


def predict(weights, point, degree):
    score = sum(w * f for w, f in zip(weights, features(point, degree)))
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def validate(weights, rows, degree):
    return 100 * sum((predict(weights, point, degree) > 0.5) == (label == 1) for point, label in rows) / len(rows)


def main():
    args = get_args()
    if args.seed is not None:
        random.seed(args.seed)
    rows = load(os.path.join(args.data_dir, "points.csv"))
    train, val = rows[: len(rows) * 3 // 4], rows[len(rows) * 3 // 4 :]
    weights = [random.gauss(0, 0.5) for _ in features((0, 0), args.degree)]
    velocity = [0.0] * len(weights)
    start = 0
    if args.resume:
        with open(args.resume, "rb") as f:
            start, weights = pickle.load(f)
        print(f"=> loaded checkpoint '{args.resume}' (epoch {start})")
    os.makedirs(args.out_dir, exist_ok=True)
    for epoch in range(start, args.epochs):
        random.shuffle(train)
        total = 0.0
        for at in range(0, len(train), args.batch_size):
            batch = train[at : at + args.batch_size]
            gradient = [args.wd * w for w in weights]
            for point, label in batch:
                p = predict(weights, point, args.degree)
                total -= math.log(max(1e-9, p if label else 1 - p))
                for k, f in enumerate(features(point, args.degree)):
                    gradient[k] += (p - label) * f / len(batch)
            for k, g in enumerate(gradient):
                g = math.copysign(1.0, g) if args.optimizer == "sign" else g
                velocity[k] = args.momentum * velocity[k] - args.lr * g
                weights[k] += velocity[k] - (args.lr * g if args.nesterov else 0)
        acc = validate(weights, val, args.degree)
        print("Epoch: [%d/%d]\tloss %.4f\tval_acc %.3f" % (epoch + 1, args.epochs, total / len(train), acc))
        with open(os.path.join(args.out_dir, "last.pkl"), "wb") as f:
            pickle.dump((epoch + 1, weights), f)


if __name__ == "__main__":
    main()
