"""The knobs for a GPU: `cp profiles/gpu.py knobs.py` and a commit, before the study begins. Protected."""

# The network. Its width is HEADS * HEAD_WIDTH.
HEADS = 6  # cockpit: 2..16
HEAD_WIDTH = 64  # cockpit: 16..128
DEPTH = 6  # cockpit: 2..16
MLP_RATIO = 4  # cockpit: 1..6
CONTEXT = 256  # cockpit: 16..256 log
ACTIVATION = "gelu"  # cockpit: relu | gelu | silu | tanh
TIED = True  # cockpit: True | False
DROPOUT = 0.1  # cockpit: 0.0..0.5
PRECISION = "bfloat16"  # cockpit: float32 | bfloat16

# How it is trained.
BATCH_SIZE = 64  # cockpit: 16..256 log
LEARNING_RATE = 0.001  # cockpit: 0.0001..0.01 log
WARMUP = 0.1  # cockpit: 0.0..0.5
WEIGHT_DECAY = 0.1  # cockpit: 0.001..1.0 log

# The bytes that a training run reads. No knob: nothing that steers would speak for less.
BYTES = 20_000_000
