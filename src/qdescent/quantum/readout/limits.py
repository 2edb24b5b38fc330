"""How far a readout can be asked to go."""

# a count that 63 bits hold; its square is still a number
MOST_SHOTS, LEAST_EPSILON = 10**18, 1e-100
