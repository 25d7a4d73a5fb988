"""Query a trained bundle: python examples/query.py results/default/kovasznay/surrogate/physics/rank4"""

import sys

import matplotlib.pyplot as plt

import pinnlora

surrogate = pinnlora.load(sys.argv[1])
predicted = surrogate.predict(re=42.0)
print(predicted)
print("in the trained range:", bool(predicted.in_range))

refined = surrogate.refine(re=120.0, steps=10)  # beyond the range: let the task's own physics mend it
print("in the trained range:", bool(refined.in_range))

refined.u.plot(x="x")
plt.savefig("kovasznay_re120.png", dpi=150)
