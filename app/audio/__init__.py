"""The pure line between text and sound: no asyncio, no torch, no network, no clock."""
