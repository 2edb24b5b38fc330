"""The inputs of a verdict in words, for whoever draws them."""

TITLES = {
    "n": "kept weights n",
    "sparsity": "non-zeros a row s",
    "steps": "steps a round T",
    "learning_rate": "learning rate eta",
    "kappa": "condition number kappa",
    "epsilon": "error of a solve",
    "readout_error": "error of the readout",
    "largest": "entries read m",
    "alpha_over_norm": "alpha over the norm",
    "batch": "batch",
    "error_rate": "physical error rate",
    "cycle_time_ns": "cycle, ns",
}
