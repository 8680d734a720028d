"""What verdicts taught: beliefs about each policy's actions, by context. Pure; rows and addresses are elsewhere.

verdict -> Lesson -> Tally -> Posterior -> Belief -> which size, and whether at all
"""
