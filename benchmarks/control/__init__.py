"""Does the controller help? Trainings from equal seeds, with it and without: `python -m benchmarks.control`."""
