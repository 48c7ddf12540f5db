"""The knobs of `model.py` and `train.py`. `profiles/gpu.py` has the same names, with values for a GPU."""

# The network. Its width is HEADS * HEAD_WIDTH.
HEADS = 4  # cockpit: 1..4
HEAD_WIDTH = 16  # cockpit: 8..32
DEPTH = 2  # cockpit: 1..3
MLP_RATIO = 3  # cockpit: 1..4
CONTEXT = 32  # cockpit: 16..128 log
ACTIVATION = "gelu"  # cockpit: relu | gelu | silu | tanh
TIED = True  # cockpit: True | False
DROPOUT = 0.0  # cockpit: 0.0..0.3
PRECISION = "float32"  # no knob: without instructions for it, bfloat16 is nine times as slow

# How it is trained.
BATCH_SIZE = 16  # cockpit: 4..64 log
LEARNING_RATE = 0.008  # cockpit: 0.0003..0.03 log
WARMUP = 0.1  # cockpit: 0.0..0.5
WEIGHT_DECAY = 0.1  # cockpit: 0.001..1.0 log

# The bytes that a training run reads. No knob: nothing that steers would speak for less.
BYTES = 400_000
