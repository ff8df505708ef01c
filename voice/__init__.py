"""The voice of a conversation: a LiveKit worker that speaks with the core through its door, and holds nothing itself."""
