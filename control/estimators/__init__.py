"""Figures that policies and verification rest on: numpy in, numbers with intervals out."""
