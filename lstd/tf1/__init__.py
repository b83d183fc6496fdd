"""The original's pipeline files (protobuf text, `.config`), and whichever config a path names.

`schema` is the table of their fields, `mapping` says what becomes of each, `pipeline_config` makes
a `Config` of a file or lays a fragment over one, and `load_config` reads YAML or a `.config`.
"""
