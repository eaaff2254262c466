"""The decode scheduler, the only boundary between the event loop and the device threads."""
