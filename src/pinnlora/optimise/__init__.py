"""Optimisers, one a file, one verb each: `step(theta or model, objective)` improves a batch of tasks."""
