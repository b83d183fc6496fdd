"""The original's pipeline files (protobuf text, `.config`), and whichever config a path names."""
