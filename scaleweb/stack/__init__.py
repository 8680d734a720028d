"""The whole site on one machine: `python -m scaleweb.stack`, which is what `make run` starts."""
