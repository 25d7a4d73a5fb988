"""What is solved: domain, tasks, residual and conditions, with the three problems of the study.

May import: errors.
"""
