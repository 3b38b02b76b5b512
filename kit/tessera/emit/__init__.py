"""Policy to C to a patch against a tree; the only package that imports tree-sitter."""
