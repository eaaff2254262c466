"""HTTP: routes, schemas, the audio response and admission."""
