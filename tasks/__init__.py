"""Retryable steps, in rooms by the chapter of the story that they belong to."""
