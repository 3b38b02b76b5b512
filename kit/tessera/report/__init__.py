"""One results document to terminal, HTML and JSON."""
