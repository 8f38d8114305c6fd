"""`widthwise.Sweep` as a sampler of Optuna and a searcher of Ray Tune; each module needs its library alone."""
