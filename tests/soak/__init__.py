"""Random faults for as long as asked, on a whole site, and what must hold after them: `make soak`.

python -m tests.soak --minutes 10            a seed by chance, printed at once
python -m tests.soak --minutes 10 --seed 7   the same faults in the same order on the same kinds of targets
"""
