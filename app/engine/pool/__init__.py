"""Several engines behind one interface, with their health."""
