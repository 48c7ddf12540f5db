# a very small model, for a very small text
out_dir = "out-tiny"
max_iters = 100
learning_rate = 0.8
