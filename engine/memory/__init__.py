"""What Headway remembers between jobs: core files, an archive that is recalled from, and what was learned by doing."""
