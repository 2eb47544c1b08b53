"""Posts and streams the replies of turns."""
