"""The task management as MusicDB documents it, name for name, on the engine."""
