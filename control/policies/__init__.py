"""The built-in policies, one file each. None knows another; all are pure functions of an observation."""
