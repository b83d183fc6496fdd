"""One frame through a finished model, in the operations that exported files run fast."""
