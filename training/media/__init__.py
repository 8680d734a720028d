"""Images, audio, tables, histograms, text and files of runs: kept on disk by their hash, listed in the database."""
