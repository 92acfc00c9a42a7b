"""Where things are and what the user has set: folders, YAML files, overrides, keys. Imports nothing of ours."""
