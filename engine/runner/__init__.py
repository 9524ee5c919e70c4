"""The life of one attempt: workspace, process, follow, settle, adopt."""
