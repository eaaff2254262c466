"""A load of concurrent speech requests, and the report that compares one server with another."""
