"""Settings, profiles of models, and checks of both."""
