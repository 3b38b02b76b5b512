"""Text to checked spec: grammar, syntax tree, types, diagnostics."""
