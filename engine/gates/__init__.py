"""Gates at work: they look at what agents say is done, ask reviewers, and say what becomes of the job."""
