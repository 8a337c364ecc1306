"""Small graphs, one operation or a typical handful each, recorded by record_ops.py."""
