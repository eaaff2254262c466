"""A load of speech requests, what its listeners hear, and reports that compare one server with another."""
