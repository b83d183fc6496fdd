"""What a config may say, and its YAML."""
