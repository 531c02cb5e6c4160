"""The two worlds of the course: a picture book in which every truth is known, and photographs in which it is not."""
