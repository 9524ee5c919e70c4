"""What has to hold before work counts as done: checks that run in its workspace, and what judges say of it."""
