"""The numbers of trained models, each beside references of the same estimator on other images."""
