"""Pictures of every page, of a site filled with real trainings: `python -m scripts.pictures`."""
