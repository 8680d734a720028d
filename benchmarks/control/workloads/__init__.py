"""The trainings the controller is tried on. Each file is one; so is any file given by --workload."""
