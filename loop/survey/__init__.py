"""A repository that knows nothing of cockpit, read: what trains, what may be changed, what is measured.

Nothing is run, and nothing is asked of a model. Each finding is a guess with its evidence, the line it stands on:

    sources   what HEAD holds          command   what trains         interpreter   by which Python
    options   flags of a script        values    names, as values    bounds        what a value may plausibly be
    knobs     what may be moved        metrics   what is said        seed          how it is handed over
    folders   what runs must be lent   found     all of it           written       `cockpit.toml`, new or mended
    carvable  what can be divided      sliced    its way to the model   saved       what is left of a model
    drafted   `predict.py`, of these three
"""
