"""How the work of jobs comes to the branch of its project: made into a commit, put on top of it, checked, landed."""
