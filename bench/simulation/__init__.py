"""The decode path in virtual time: the service's own queue and windows, a modelled engine and device."""
